"""What a cluster is born by is killed in its first seconds: it comes up all the same.

`PLEXCTL_KILLS` kills each victim at ten instants; without it there are three kills in all, always
the same ones.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from plexctl.errors import PlexError

from .support import Cluster, Lab, delete_plex_objects, eventually, host, stored_kubectl

PLEX = "bornkill"
MASTER = f"{PLEX}1"
NODES = {MASTER, f"{PLEX}2"}
FILE = """\
workers: 1
networks: {nodes: 10.79.20.0/24, pods: 10.198.0.0/16, services: 10.103.128.0/20}
"""
VICTIMS = ("etcd", "kube-apiserver", "kubelet", "plexctl")
FIRST = 10.0
"""Seconds of a boot in which something is killed."""

INSTANTS = 10
SEED = 20

KILL = """\
n=0
while [ $n -lt 300 ]; do
  for one in /proc/[0-9]*; do
    read -r name <$one/comm || continue
    [ "$name" = "$0" ] && kill -KILL ${one#/proc/} && exit 0
  done 2>/dev/null
  sleep 0.1; n=$((n + 1))
done
exit 1
"""
"""Kills a program of a node by its name, as soon as it runs."""


def chosen() -> list[tuple[str, float]]:
    """Who is killed, and how many seconds after `up` began; each part of a boot has its turn."""
    choice = random.Random(SEED)
    if "PLEXCTL_KILLS" in os.environ:
        parts = [FIRST * (number + choice.random()) / INSTANTS for number in range(INSTANTS)]
        return [(victim, round(part, 1)) for victim in VICTIMS for part in parts]
    victims = choice.sample(VICTIMS, 3)
    return [
        (victim, round(FIRST * (number + choice.random()) / 3, 1))
        for number, victim in enumerate(victims)
    ]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    lab.run("bake", timeout=3600)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Cluster:
    """Through a kubeconfig that is the same for each cluster of the plex."""
    lab.run("kubeconfig", PLEX, "--output", str(lab.home / "config"))
    return Cluster(stored_kubectl(lab.home), lab.home / "config")


def kill_on_master(name: str) -> None:
    """Kill a program of the master, which may not have been created yet."""

    def killed() -> bool:
        try:
            return host().execute(MASTER, ("sh", "-c", KILL, name), timeout=60).code == 0
        except PlexError:
            return False

    eventually(f"{name} is killed", killed, every=0.05)


@pytest.mark.parametrize(("victim", "seconds"), chosen())
def test_a_cluster_comes_up_though_something_is_killed(
    lab: Lab, cluster: Cluster, victim: str, seconds: float
) -> None:
    lab.run("destroy", PLEX, "-y")
    running = lab.start("up", PLEX)
    time.sleep(seconds)
    if victim == "plexctl":
        running.send_signal(signal.SIGKILL)
    else:
        kill_on_master(victim)
    out, err = running.communicate(timeout=400)
    assert "Traceback" not in out + err
    if victim == "plexctl":
        assert running.returncode in (0, -signal.SIGKILL), err
        lab.run("up", PLEX)
    else:
        assert running.returncode == 0, err

    assert lab.run("plan", PLEX).out == f"{PLEX}: nothing to do\n"
    eventually("the cluster is healthy", lambda: lab.run("status", PLEX, code=None).code == 0)
    assert cluster.ready() == NODES
    eventually("the master's kubeadm has ended", lambda: complete(cluster))


def complete(cluster: Cluster) -> bool:
    """Whether what comes last is there: labels, controllers, and no key of a super-admin."""
    labels = cluster.get("node", MASTER)["metadata"]["labels"]
    pods = cluster.get("pods", "-n", "kube-system")["items"]
    started = {
        pod["metadata"]["name"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", ())
        if status["ready"]
    }
    words = ("test", "!", "-e", "/etc/kubernetes/super-admin.conf")
    return (
        "node-role.kubernetes.io/control-plane" in labels
        and {f"kube-controller-manager-{MASTER}", f"kube-scheduler-{MASTER}"} <= started
        and host().execute(MASTER, words).code == 0
    )
