"""Argo CD as the engine: a plex that comes up with the apps that git has for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .git_server import GitServer, commit, serving
from .support import Cluster, Lab, delete_plex_objects, eventually, stored_kubectl

PLEX = "argotest"
GATEWAY = "10.78.4.1"
APP = "hello-world"
NETWORKS = """\
workers: 1
networks: {nodes: 10.78.4.0/24, pods: 10.197.0.0/16, services: 10.103.112.0/20}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
    delete_plex_objects(PLEX)
    lab = Lab(root, home)
    (root / "clusters" / PLEX).mkdir(parents=True)
    (root / "clusters" / PLEX / "plex.yaml").write_text(NETWORKS)
    lab.run("init", "--gitops", PLEX)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A git server on the plex' own bridge, which a first plex without apps brings."""
    plexfile = lab.root / "clusters" / PLEX / "plex.yaml"
    hosts = lab.root / "clusters" / "hosts.yaml"
    hosts.write_text("hosts: {local: {kind: incus}}\n")
    plexfile.write_text(NETWORKS)
    lab.run("up", PLEX, "--no-wait", timeout=3600)
    with serving(tmp_path_factory.mktemp("git") / "lab.git", GATEWAY) as server:
        (lab.root / "clusters" / "known_hosts").write_text(server.known_hosts)
        plexfile.write_text(
            NETWORKS + f"gitops: {{engine: argocd, source: '{server.url}', "
            "known_hosts: clusters/known_hosts, interval: 5}\n"
        )
        server.allowed = lab.run("flux", "key", PLEX).out
        commit(lab.root, server.repository, "the tree")
        yield server


def test_up_brings_the_apps_that_git_has(
    lab: Lab, server: GitServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    answer = lab.run("up", PLEX, "-y", timeout=3600)  # the image of its nodes has Argo CD now
    assert APP in answer.out
    assert server.served > 0
    kubeconfig = tmp_path_factory.mktemp("kube") / "config"
    lab.run("kubeconfig", PLEX, "--output", str(kubeconfig))
    cluster = Cluster(stored_kubectl(tmp_path_factory.mktemp("kubectl")), kubeconfig)
    path = f"/api/v1/namespaces/{APP}/services/http:{APP}:http/proxy/hostname"
    assert cluster.run("get", "--raw", path).startswith(APP)
    config = cluster.get("configmap", APP, "-n", APP)
    assert config["data"]["GREETING"] == f"hello from {PLEX}"

    file = Path(lab.root, "apps", APP, "deployment.yaml")
    file.write_text(file.read_text().replace("replicas: 1", "replicas: 2"))
    commit(lab.root, server.repository, "two of them")

    def two() -> bool:
        found = cluster.get("deployment", APP, "-n", APP)
        return bool(found["spec"]["replicas"] == 2)

    eventually("the commit is live", two, seconds=120)
