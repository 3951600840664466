"""A tree of apps that a story changes as a user does."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .nested import HERE_ALONE, NestedHost
from .support import Answer, Cluster, Lab, delete_plex_objects, stored_kubectl, typed

PLEX, APP = "fluxtest", "hello-world"
REGISTRY = "fluxreg"
GATEWAY = "10.78.2.1"
HOSTS = f"""\
{HERE_ALONE}
registry: {{name: {REGISTRY}, network: 10.78.1.0/24}}
"""
NETWORKS = """\
networks: {nodes: 10.78.2.0/24, pods: 10.196.0.0/16, services: 10.103.96.0/20}
"""
EDITOR = """\
#!/bin/sh
cat >"$1" <<'END'
apiVersion: v1
kind: Secret
metadata: {name: hello-world, namespace: hello-world}
stringData: {secret: CANARY}
END
"""


@dataclass(frozen=True)
class GitopsLab:
    """A lab with a tree of apps, and the plex that they run in."""

    lab: Lab
    cluster: Cluster
    canary: str

    @property
    def tree(self) -> Path:
        return self.lab.root

    def states(self) -> dict[str, str]:
        answer = self.lab.run("flux", "status", PLEX, "--json", code=None)
        return {row["name"]: row["state"] for row in json.loads(answer.out)["objects"]}

    def push(self, code: int = 0) -> Answer:
        return self.lab.run("flux", "push", PLEX, "-q", code=code)

    def hello(self) -> str:
        """The answer of the app to a request."""
        path = f"/api/v1/namespaces/{APP}/services/http:{APP}:http/proxy/hostname"
        return self.cluster.run("get", "--raw", path)

    def greeting(self) -> str:
        """The answer that the app is configured to give."""
        return str(self.cluster.get("configmap", APP, "-n", APP)["data"]["GREETING"])

    def secret(self) -> str:
        found = self.cluster.get("secret", APP, "-n", APP)
        return base64.b64decode(found["data"]["secret"]).decode()

    def add_app(self, name: str, manifest: str, depends_on: str = "infra") -> None:
        """One more app of this plex, as a user adds it."""
        folder = self.tree / "apps" / name
        folder.mkdir()
        (folder / "kustomization.yaml").write_text("resources: [it.yaml]\n")
        (folder / "it.yaml").write_text(manifest)
        listed = self.tree / "clusters" / PLEX / f"{name}.yaml"
        listed.write_text(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
            f"metadata: {{name: {name}, namespace: flux-system}}\n"
            f"spec: {{path: ./apps/{name}, dependsOn: [{{name: {depends_on}}}]}}\n"
        )
        self._list("resources:\n", f"resources:\n  - {name}.yaml\n")

    def drop_app(self, name: str) -> None:
        shutil.rmtree(self.tree / "apps" / name)
        (self.tree / "clusters" / PLEX / f"{name}.yaml").unlink()
        self._list(f"  - {name}.yaml\n", "")

    def _list(self, old: str, new: str) -> None:
        file = self.tree / "clusters" / PLEX / "kustomization.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))


@contextmanager
def make_gitops_lab(
    tmp_path_factory: pytest.TempPathFactory, far: NestedHost | None = None
) -> Iterator[GitopsLab]:
    """The plex with its apps and an encrypted secret, as `init --gitops` and `up` make it.

    With `far` its master is on that host, and one of its workers on this machine.
    """
    root, home = tmp_path_factory.mktemp("gitops_lab"), tmp_path_factory.mktemp("home")
    for name in (PLEX, REGISTRY):
        delete_plex_objects(name)
    canary = f"canary-{secrets.token_hex(16)}"
    editor = tmp_path_factory.mktemp("bin") / "editor"
    editor.write_text(EDITOR.replace("CANARY", canary))
    editor.chmod(0o700)
    lab = Lab(root, home, environment={"VISUAL": "", "EDITOR": str(editor)})
    (root / "clusters" / PLEX).mkdir(parents=True)
    (root / "clusters" / "hosts.yaml").write_text(HOSTS)
    plex = root / "clusters" / PLEX / "plex.yaml"
    plex.write_text(NETWORKS)
    try:
        if far:
            typed(lab, far.token(), "host", "add", "second", far.url, "--token")
            plex.write_text(f"{NETWORKS}hosts: [second, local]\n")
        lab.run("init", "--gitops", PLEX)
        sealed = root / "clusters" / PLEX / "secrets" / "hello.yaml"
        lab.run("secret", "edit", str(sealed), timeout=1800)
        listed = sealed.with_name("kustomization.yaml")
        listed.write_text(
            listed.read_text().replace("resources:\n", "resources:\n  - hello.yaml\n", 1)
        )
        lab.run("up", PLEX, timeout=3600)
        kubeconfig = tmp_path_factory.mktemp("kube") / "config"
        lab.run("kubeconfig", PLEX, "--output", str(kubeconfig))
        kubectl = stored_kubectl(tmp_path_factory.mktemp("kubectl"))
        yield GitopsLab(lab, Cluster(kubectl, kubeconfig), canary)
    finally:
        lab.run("destroy", PLEX, "-y", code=None)
        lab.run("registry", "destroy", "-y", code=None)
