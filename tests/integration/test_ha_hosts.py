"""Three masters on other machines: spread over two hosts, and behind a port of one.

It takes some minutes, and runs with `PLEXCTL_HA=long` (`bin/test soak`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .nested import HERE_ALONE, NestedHost
from .support import Cluster, Lab, delete_plex_objects, eventually, stored_kubectl, typed
from .test_ha import healthy, incus
from .writers import Writer, require

pytestmark = pytest.mark.skipif(
    os.environ.get("PLEXCTL_HA") != "long", reason="PLEXCTL_HA is not long"
)
WIDE, PORT = "hawide", "haport"
FILES = {
    WIDE: """\
masters: 3
workers: 1
hosts: [local, second]
networks: {nodes: 10.83.2.0/24, pods: 10.205.0.0/16, services: 10.127.16.0/20}
""",
    PORT: """\
masters: 3
workers: 0
hosts: [second]
networks: {nodes: 10.83.3.0/24, pods: 10.206.0.0/16, services: 10.127.32.0/20}
""",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, far: NestedHost) -> Iterator[Lab]:
    """A lab with two hosts; nothing is up."""
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    (lab.root / "clusters" / "hosts.yaml").write_text(HERE_ALONE)
    for plex, text in FILES.items():
        delete_plex_objects(plex)
        lab.run("init", plex)
        if plex == WIDE:
            typed(lab, far.token(), "host", "add", "second", far.url, "--token")
        (lab.root / "clusters" / plex / "plex.yaml").write_text(text)
    yield lab
    for plex in FILES:
        lab.run("destroy", plex, "-y", code=None)


def cluster(lab: Lab, plex: str, folder: Path) -> Cluster:
    lab.run("up", plex, timeout=1800)
    lab.run("kubeconfig", plex, "--output", str(folder / "config"))
    return Cluster(stored_kubectl(folder), folder / "config")


def test_masters_are_spread_over_the_hosts_and_survive_the_loss_of_one(
    lab: Lab, far: NestedHost, tmp_path: Path
) -> None:
    wide = cluster(lab, WIDE, tmp_path)

    nodes = {one["name"]: one["host"] for one in healthy(lab, 3, WIDE)["nodes"]}
    assert nodes == {"hawide1": "local", "hawide2": "second", "hawide3": "local"} | {
        "hawide4": "second"
    }
    with Writer(wide.kubeconfig, tmp_path) as writer:
        far.run("incus", "stop", "--force", "hawide2")
        lab.run("up", WIDE)
        healthy(lab, 3, WIDE)
        lab.run("replace", "hawide1", "-y")
        healthy(lab, 3, WIDE)
    require(wide, writer.done)
    assert wide.ready() == set(nodes)
    lab.run("destroy", WIDE, "-y")


def test_a_port_leads_to_the_api_though_the_first_master_is_gone(
    lab: Lab, far: NestedHost, tmp_path: Path
) -> None:
    port = cluster(lab, PORT, tmp_path)
    server = yaml.safe_load(port.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith(f"https://{far.address.ip}:")

    far.run("incus", "stop", "--force", "haport1")

    def answers() -> bool:
        return bool(port.run("get", "nodes", "-o", "name", "--request-timeout=2s", check=False))

    eventually("the API answers through the port", answers, seconds=60)
    lab.run("up", PORT)
    healthy(lab, 3, PORT)
    assert incus("list", "haport", "--format=csv") == ""  # it is all on the other machine
    lab.run("destroy", PORT, "-y")
    assert "haport" not in far.run("incus", "network", "list", "--format=csv")
