"""A plex in the hands of people who run Ansible themselves."""

from __future__ import annotations

from ..plays import play
from ..support import Cluster, Lab, uptime

NODES = {"lifecycle1", "lifecycle2", "lifecycle3"}


def test_kubestrap_changes_nothing_of_a_plex_that_is_up(lifecycle: Lab, cluster: Cluster) -> None:
    lifecycle.run("up", "lifecycle")

    played = play(lifecycle, "kubestrap.yml", "plex=lifecycle")

    assert played.code == 0, played.text
    assert played.changed == dict.fromkeys(NODES, 0)
    assert cluster.ready() == NODES


def test_kubedel_takes_a_worker_out_and_kubestrap_lets_it_in(
    lifecycle: Lab, cluster: Cluster
) -> None:
    before = uptime("lifecycle2")

    played = play(lifecycle, "kubedel.yml", "nodename=lifecycle2")
    assert played.code == 0, played.text
    assert cluster.ready() == NODES - {"lifecycle2"}
    again = play(lifecycle, "kubedel.yml", "nodename=lifecycle2")
    assert (again.code, again.changed) == (0, {"lifecycle2": 0}), again.text

    back = play(lifecycle, "kubestrap.yml", "plex=lifecycle")
    assert back.code == 0, back.text
    assert back.changed["lifecycle2"] > 0
    assert cluster.ready() == NODES
    assert uptime("lifecycle2") == before


def test_kubedel_of_the_last_worker_makes_the_plex_smaller(
    lifecycle: Lab, cluster: Cluster
) -> None:
    played = play(lifecycle, "kubedel.yml", "nodename=lifecycle3")
    assert played.code == 0, played.text
    assert cluster.ready() == NODES - {"lifecycle3"}
    assert lifecycle.ask("plan", "lifecycle")["changes"] == []

    lifecycle.run("scale", "lifecycle", "--workers", "2")
    assert cluster.ready() == NODES


def test_kubedel_lets_no_master_go(lifecycle: Lab, cluster: Cluster) -> None:
    played = play(lifecycle, "kubedel.yml", "nodename=lifecycle1")

    assert played.code != 0
    assert "lifecycle1 is not a worker" in played.text
    assert cluster.ready() == NODES
