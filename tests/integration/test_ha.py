"""Three masters: whoever writes through the API loses nothing while masters are lost and replaced.

One master is killed, another one stands still, the third is cut off, one is replaced, and the plex
gets one master and three again. With `PLEXCTL_HA=long` every master fails in every way.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .support import Cluster, Lab, delete_plex_objects, eventually, stored_kubectl
from .writers import Visitor, Writer, require, serve, writing_pod

PLEX = "hastory"
MASTERS = (f"{PLEX}1", f"{PLEX}2", f"{PLEX}3")
LONG = os.environ.get("PLEXCTL_HA") == "long"
LABEL = "node-role.kubernetes.io/control-plane"
FAILS = 6.0
"""Seconds for which a master is away: longer than the lease of a leader."""


def incus(*words: str) -> str:
    done = subprocess.run(
        ["incus", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"incus {words}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    delete_plex_objects(PLEX)
    lab.run("init", PLEX)
    shape(lab, masters=3, workers=2)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


def shape(lab: Lab, *, masters: int, workers: int) -> None:
    """Write the numbers of masters and workers into the file of the plex."""
    file = lab.root / "clusters" / PLEX / "plex.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("masters:")]
    lines = [f"workers: {workers}" if one.startswith("workers:") else one for one in lines]
    file.write_text("\n".join((*lines, f"masters: {masters}")) + "\n")


@pytest.fixture(scope="module")
def cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The plex through a kubeconfig that was written once, when it was first up."""
    lab.run("up", PLEX, timeout=3600)
    kubeconfig = tmp_path_factory.mktemp("kube") / "config"
    lab.run("kubeconfig", PLEX, "--output", str(kubeconfig))
    return Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig)


def healthy(lab: Lab, masters: int, plex: str = PLEX) -> Any:
    """The status of the plex, once all its masters are healthy members of etcd."""

    def found() -> bool:
        said = lab.run("status", plex, "--json", code=None)
        return said.code == 0 and bool(json.loads(said.out)["healthy"])

    eventually("the plex is healthy", found, seconds=120)
    status = lab.ask("status", plex)
    if masters > 1:
        assert status["etcd"].startswith(f"{masters} of {masters} members are healthy")
        assert status["endpoint"] in {f"{plex}{number}" for number in range(1, masters + 1)}
    return status


def require_kubeadms_shape(cluster: Cluster, *, masters: int, nodes: int) -> None:
    """The nodes, and what kubeadm has in the cluster, are as `kubeadm` would have left them."""
    wanted = {f"{PLEX}{number}" for number in range(1, nodes + 1)}
    assert cluster.ready() == wanted
    for one in cluster.get("nodes")["items"]:
        name = one["metadata"]["name"]
        own = int(name.removeprefix(PLEX)) <= masters
        taints = [taint["key"] for taint in one["spec"].get("taints", ())]
        assert (LABEL in one["metadata"]["labels"], taints == [LABEL]) == (own, own), one
    uploaded = cluster.get("configmap", "kubeadm-config", "-n", "kube-system")["data"]
    there = yaml.safe_load(uploaded["ClusterConfiguration"])
    text = incus("exec", MASTERS[0], "--", "cat", "/etc/plexctl/kubeadm.yaml")
    own_file = next(d for d in yaml.safe_load_all(text) if d["kind"] == "ClusterConfiguration")
    assert {key: there[key] for key in own_file if key != "etcd"} == {
        key: value for key, value in own_file.items() if key != "etcd"
    }
    assert there["etcd"]["local"]["extraArgs"] == own_file["etcd"]["local"]["extraArgs"]
    replicas = 2 if masters > 1 else 1

    def as_many() -> bool:
        dns = cluster.get("deployment", "coredns", "-n", "kube-system")
        status = dns["status"]
        return bool(status["availableReplicas"] == status["replicas"] == replicas)

    eventually(f"CoreDNS has {replicas} replicas", as_many)
    service = cluster.get("endpoints", "kubernetes")["subsets"][0]["addresses"]
    assert [one["ip"].rpartition(".")[2] for one in service] == ["10" if masters > 1 else "11"]


def test_three_masters_are_born_and_none_differs_from_kubeadm_s(lab: Lab, cluster: Cluster) -> None:
    status = healthy(lab, 3)

    assert [one["role"] for one in status["nodes"]] == ["master"] * 3 + ["worker"] * 2
    require_kubeadms_shape(cluster, masters=3, nodes=5)
    assert lab.ask("plan", PLEX)["changes"] == []


def test_kubeadm_knows_masters_that_it_has_not_made(cluster: Cluster) -> None:
    shown = incus("exec", MASTERS[1], "--", "kubeadm", "certs", "check-expiration")
    assert "etcd-peer" in shown
    # The one that nobody needs any more; every master deletes it.
    missing = [line.split()[-1] for line in shown.splitlines() if "MISSING" in line]
    assert missing == ["super-admin.conf"]

    # kubeadm warns of control groups v1, which some hosts have, as an error.
    words = ("kubeadm", "upgrade", "node", "--dry-run", "--certificate-renewal=false")
    shown = incus("exec", MASTERS[2], "--", *words, "--ignore-preflight-errors=SystemVerification")
    assert "Finished dryrunning successfully" in shown


def killed(lab: Lab, master: str) -> None:
    incus("stop", "--force", master)
    time.sleep(FAILS)
    lab.run("up", PLEX)


def paused(_: Lab, master: str) -> None:
    incus("pause", master)
    time.sleep(FAILS)
    incus("start", master)


def cut_off(_: Lab, master: str) -> None:
    """Its cable is pulled, on the side of the host: it keeps its addresses and routes."""
    state = json.loads(incus("query", f"/1.0/instances/{master}/state"))
    cable = state["network"]["eth0"]["host_name"]
    for what in ("down", "up"):
        subprocess.run(["ip", "link", "set", cable, what], check=True, timeout=10)
        time.sleep(FAILS if what == "down" else 0)


FAULTS: tuple[Callable[[Lab, str], None], ...] = (killed, paused, cut_off)


def transitions(cluster: Cluster) -> dict[str, str]:
    """Since when each worker is Ready."""
    return {
        one["metadata"]["name"]: condition["lastTransitionTime"]
        for one in cluster.get("nodes", "-l", f"!{LABEL}")["items"]
        for condition in one["status"]["conditions"]
        if condition["type"] == "Ready"
    }


def test_no_acknowledged_write_is_lost_while_masters_fail(
    lab: Lab, cluster: Cluster, tmp_path: Path
) -> None:
    before = transitions(cluster)
    with writing_pod(cluster, f"{PLEX}5"), Writer(cluster.kubeconfig, tmp_path) as writer:
        for number, fault in enumerate(FAULTS):
            # Each fault meets the master that has the endpoint, or with `long` every master.
            endpoint = healthy(lab, 3)["endpoint"]
            for master in MASTERS if LONG else (endpoint,):
                print(f"{fault.__name__}: {master}, fault {number + 1}")
                fault(lab, master)
                healthy(lab, 3)
    require(cluster, writer.done)
    assert transitions(cluster) == before  # no worker was lost with a master
    assert cluster.ready() == {f"{PLEX}{number}" for number in range(1, 6)}


def test_masters_are_replaced_one_by_one(lab: Lab, cluster: Cluster, tmp_path: Path) -> None:
    chosen = MASTERS if LONG else (healthy(lab, 3)["endpoint"],)
    with writing_pod(cluster, f"{PLEX}5"), Writer(cluster.kubeconfig, tmp_path) as writer:
        for master in chosen:
            lab.run("replace", master, "-y")
            healthy(lab, 3)
    require(cluster, writer.done)
    require_kubeadms_shape(cluster, masters=3, nodes=5)
    assert lab.ask("plan", PLEX)["changes"] == []


def test_three_masters_become_one_and_three_again(
    lab: Lab, cluster: Cluster, tmp_path: Path
) -> None:
    serve(cluster)
    with (
        Visitor(cluster.kubeconfig, tmp_path) as visitor,
        Writer(cluster.kubeconfig, tmp_path) as writer,
    ):
        for masters, nodes in ((1, 3), (3, 5)):
            shape(lab, masters=masters, workers=2)
            lab.run("up", PLEX, "-y")
            healthy(lab, masters)
            require_kubeadms_shape(cluster, masters=masters, nodes=nodes)
            assert lab.ask("plan", PLEX)["changes"] == []
            print(f"{masters} masters: away for {writer.away:.2f} and {visitor.away:.2f} s so far")
    require(cluster, writer.done)
    assert len(visitor.done) > 10


def test_without_a_majority_nothing_is_replaced(lab: Lab, cluster: Cluster) -> None:
    manifest, aside = "/etc/kubernetes/manifests/etcd.yaml", "/root/etcd.yaml"
    for master in MASTERS[1:]:
        incus("exec", master, "--", "mv", manifest, aside)

    def lost() -> bool:
        said = json.loads(lab.run("status", PLEX, "--json", code=None).out)
        return "cannot list its members" in said["etcd"]

    eventually("etcd has no majority", lost, seconds=120)

    refused = lab.run("replace", MASTERS[1], "-y", code=1)

    assert f"etcd of {PLEX} cannot list its members" in refused.err
    assert "replace master" in refused.err  # the way that loses the state
    for master in MASTERS[1:]:
        incus("exec", master, "--", "mv", aside, manifest)
    healthy(lab, 3)
    assert lab.ask("plan", PLEX)["changes"] == []
    assert cluster.ready() == {f"{PLEX}{number}" for number in range(1, 6)}
