"""What one plex goes through until its end, in the order in which it happens."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..support import Cluster, Lab, eventually, host, host_state, of_plex, uptime

NODES = {"tale1", "tale2", "tale3"}


def test_replace_of_a_worker_leaves_the_others_alone(tale: Lab, cluster: Cluster) -> None:
    before = {name: uptime(name) for name in NODES}

    answer = tale.ask("replace", "tale2", "--plex", "tale")

    after = {name: uptime(name) for name in NODES}
    assert [change["name"] for change in answer["changes"]] == ["tale2"]
    assert after["tale2"] > before["tale2"]
    assert {n: after[n] for n in ("tale1", "tale3")} == {n: before[n] for n in ("tale1", "tale3")}
    assert cluster.ready() == NODES


def test_a_node_whose_files_the_server_loses_is_made_again(tale: Lab, cluster: Cluster) -> None:
    """Incus takes a socket away when another instance starts just then; here somebody does."""
    with robbed(Path("/run/incus/tale2/forkfile.sock")) as robberies:
        tale.run("replace", "tale2", "--plex", "tale")

    assert robberies
    assert cluster.ready() == NODES


def test_scale_up_and_down(tale: Lab, cluster: Cluster) -> None:
    before = uptime("tale1")
    tale.run("scale", "tale", "--workers", "4")
    assert cluster.ready() == NODES | {"tale4", "tale5"}
    assert "workers: 4" in (tale.root / "clusters/tale/plex.yaml").read_text()

    tale.run("scale", "tale", "--workers", "1", "-y")
    assert {node["metadata"]["name"] for node in cluster.get("nodes")["items"]} == {
        "tale1",
        "tale2",
    }
    assert {n for n in host_state().instances if n.startswith("tale")} == {"tale1", "tale2"}

    tale.run("scale", "tale", "--workers", "2")
    assert cluster.ready() == NODES
    assert uptime("tale1") == before


def test_the_old_kubeconfig_survives_replace_master(tale: Lab, cluster: Cluster) -> None:
    cluster.run("create", "configmap", "from-before")

    answer = tale.ask("replace", "master", "--plex", "tale", "-y")

    assert {change["name"] for change in answer["changes"]} == NODES
    assert cluster.ready() == NODES
    assert "from-before" not in cluster.run("get", "configmaps")
    assert tale.run("ssh", "tale3", "--", "hostname").out.strip() == "tale3"


def test_a_killed_run_is_finished_by_the_next(tale: Lab, cluster: Cluster) -> None:
    """kill -9 between the new master and its workers."""
    old = host_state().instances["tale1"].uuid
    process = tale.start("replace", "master", "--plex", "tale", "-y")

    def new_master() -> bool:
        seen = host_state().instances.get("tale1")
        return seen is not None and seen.uuid != old

    eventually("the new master is there", new_master)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)

    answer = tale.run("up", "tale")

    assert "did not end" in answer.err
    assert cluster.ready() == NODES
    assert tale.ask("up", "tale")["changes"] == []


def test_what_a_killed_run_has_asked_for_is_waited_for(tale: Lab, cluster: Cluster) -> None:
    """kill -9 while Incus stops the master, which it goes on with; and `up` at once."""
    process = tale.start("replace", "master", "--plex", "tale", "-y")
    eventually("the master goes", lambda: "tale1" in host().changing(), every=0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)

    tale.run("up", "tale")

    assert cluster.ready() == NODES
    assert tale.ask("up", "tale")["changes"] == []


def test_a_lost_node_is_made_again(tale: Lab, cluster: Cluster) -> None:
    """Somebody removed a worker and stopped another one behind plexctl's back."""
    host().delete_instance("tale3")
    host().stop("tale2")
    status = tale.run("status", "tale", code=1).out
    assert "missing" in status

    answer = tale.ask("up", "tale")

    changes = {change["name"]: change["action"] for change in answer["changes"]}
    assert changes == {"tale2": "start", "tale3": "create"}
    eventually("all nodes are Ready", lambda: cluster.ready() == NODES)


def test_a_node_that_the_cluster_has_forgotten_registers_again(tale: Lab, cluster: Cluster) -> None:
    """As a plexctl leaves it that is killed before it makes the machine anew."""
    before = uptime("tale3")
    cluster.run("delete", "node", "tale3")

    answer = tale.run("up", "tale")

    assert "does not know tale3" in answer.err
    assert cluster.ready() == NODES
    assert uptime("tale3") == before


def test_destroy_leaves_nothing(tale: Lab) -> None:
    tale.run("destroy", "tale", "-y")

    assert of_plex(host_state(), "tale") == set()
    assert "plex-tale" not in host_state().networks
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    assert "plex-tale" not in links.stdout
    mounts = subprocess.run(["cat", "/proc/mounts"], capture_output=True, text=True, check=True)
    assert "tale" not in mounts.stdout
    assert not (tale.root / ".plexctl" / "plexes" / "tale").exists()
    assert tale.run("destroy", "tale", "-y").code == 0


@contextmanager
def robbed(socket: Path) -> Iterator[list[Path]]:
    """Take `socket` away as soon as it is there, once."""
    robberies: list[Path] = []
    over = threading.Event()

    def rob() -> None:
        while not robberies and not over.wait(0.0005):
            if socket.exists():
                socket.unlink()
                robberies.append(socket)

    robber = threading.Thread(target=rob)
    robber.start()
    try:
        yield robberies
    finally:
        over.set()
        robber.join()
