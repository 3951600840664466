"""A plex in the hands of people who run Ansible themselves."""

from __future__ import annotations

from ..plays import play
from ..support import Cluster, Lab, uptime

NODES = {"tale1", "tale2", "tale3"}


def test_kubestrap_changes_nothing_of_a_plex_that_is_up(tale: Lab, cluster: Cluster) -> None:
    tale.run("up", "tale")

    played = play(tale, "kubestrap.yml", "plex=tale")

    assert played.code == 0, played.text
    assert played.changed == dict.fromkeys(NODES, 0)
    assert cluster.ready() == NODES


def test_kubedel_takes_a_worker_out_and_kubestrap_lets_it_in(tale: Lab, cluster: Cluster) -> None:
    before = uptime("tale2")

    played = play(tale, "kubedel.yml", "nodename=tale2")
    assert played.code == 0, played.text
    assert cluster.ready() == NODES - {"tale2"}
    again = play(tale, "kubedel.yml", "nodename=tale2")
    assert (again.code, again.changed) == (0, {"tale2": 0}), again.text

    back = play(tale, "kubestrap.yml", "plex=tale")
    assert back.code == 0, back.text
    assert back.changed["tale2"] > 0
    assert cluster.ready() == NODES
    assert uptime("tale2") == before


def test_kubedel_of_the_last_worker_makes_the_plex_smaller(tale: Lab, cluster: Cluster) -> None:
    played = play(tale, "kubedel.yml", "nodename=tale3")
    assert played.code == 0, played.text
    assert cluster.ready() == NODES - {"tale3"}
    assert tale.ask("plan", "tale")["changes"] == []

    tale.run("scale", "tale", "--workers", "2")
    assert cluster.ready() == NODES


def test_kubedel_lets_no_master_go(tale: Lab, cluster: Cluster) -> None:
    played = play(tale, "kubedel.yml", "nodename=tale1")

    assert played.code != 0
    assert "tale1 is no worker" in played.text
    assert cluster.ready() == NODES
