"""A tree of apps that a story changes as a user does."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from .support import Answer, Cluster, Lab

PLEX, APP = "fluxtest", "hello-world"


@dataclass(frozen=True)
class Garden:
    """A lab with a tree of apps, and the plex that they run in."""

    lab: Lab
    cluster: Cluster
    canary: str

    @property
    def tree(self) -> Path:
        return self.lab.root

    def states(self) -> dict[str, str]:
        answer = self.lab.run("flux", "status", PLEX, "--json", code=None)
        return {row["name"]: row["state"] for row in json.loads(answer.out)["rows"]}

    def push(self, code: int = 0) -> Answer:
        return self.lab.run("flux", "push", PLEX, "-q", code=code, timeout=120)

    def hello(self) -> str:
        """What the app says to a request."""
        path = f"/api/v1/namespaces/{APP}/services/http:{APP}:http/proxy/hostname"
        return self.cluster.run("get", "--raw", path)

    def greeting(self) -> str:
        """What the app is configured to say."""
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
