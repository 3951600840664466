"""A plex whose user installs the CNI plugin: nodes are NotReady by design until then."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .support import Cluster, Lab, delete_plex_objects, eventually, host, stored_kubectl

PLEX = "barestory"
FILE = """\
workers: 1
cni: none
networks: {nodes: 10.119.7.0/24, pods: 10.217.0.0/16, services: 10.119.48.0/20}
"""
NODES = (f"{PLEX}1", f"{PLEX}2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


@pytest.fixture(scope="module")
def cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    done = lab.run("up", PLEX)
    assert f"install a CNI plugin: {NODES[0]}, {NODES[1]}" in done.out + done.err
    kubeconfig = lab.root / ".plexctl" / "plexes" / PLEX / "kubeconfig"
    return Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig)


def ranges(cluster: Cluster) -> dict[str, str]:
    """The range of addresses that each node has for its pods."""
    return {
        node["metadata"]["name"]: node["spec"]["podCIDR"]
        for node in cluster.get("nodes")["items"]
        if "podCIDR" in node["spec"]
    }


def test_up_ends_with_nodes_that_wait_for_a_plugin(lab: Lab, cluster: Cluster) -> None:
    assert cluster.ready() == set()
    eventually("each node has a range", lambda: ranges(cluster).keys() == set(NODES))
    status = lab.run("status", PLEX, "--json", code=None)
    assert status.code == 1
    rows = json.loads(status.out)["nodes"]
    assert [row["ready"] for row in rows] == [False, False]
    assert all("cni plugin not initialized" in row["note"] for row in rows)


def test_nodes_are_ready_once_the_user_has_installed_one(lab: Lab, cluster: Cluster) -> None:
    """By hand, what a plugin's DaemonSet does: a configuration on each node, and routes."""
    found = ranges(cluster)
    for name in NODES:
        (other,) = set(NODES) - {name}
        address = next(
            one["address"]
            for node in cluster.get("nodes")["items"]
            if node["metadata"]["name"] == other
            for one in node["status"]["addresses"]
            if one["type"] == "InternalIP"
        )
        ipam = {
            "type": "host-local",
            "ranges": [[{"subnet": found[name]}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        plugin = {"type": "ptp", "ipam": ipam}
        content = json.dumps({"cniVersion": "1.0.0", "name": "own", "plugins": [plugin]})
        script = f'ip route add {found[other]} via {address}; echo "$1" > /etc/cni/net.d/1.conflist'
        done = host().execute(name, ("sh", "-ec", script, "sh", content))
        assert done.code == 0, done
    eventually("both are Ready", lambda: cluster.ready() == set(NODES))

    again = lab.run("up", PLEX)

    assert "install a CNI plugin" not in again.out + again.err
    eventually("the plex is healthy", lambda: lab.run("status", PLEX, code=None).code == 0)
