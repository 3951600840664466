"""The changes of one plex until its deletion, in order."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..support import Cluster, Lab, eventually, host, host_state, of_plex, uptime

NODES = {"lifecycle1", "lifecycle2", "lifecycle3"}


def test_replace_of_a_worker_leaves_the_others_alone(lifecycle: Lab, cluster: Cluster) -> None:
    before = {name: uptime(name) for name in NODES}

    answer = lifecycle.ask("replace", "lifecycle2", "--plex", "lifecycle")

    after = {name: uptime(name) for name in NODES}
    assert [change["name"] for change in answer["changes"]] == ["lifecycle2"]
    assert after["lifecycle2"] > before["lifecycle2"]
    assert {n: after[n] for n in ("lifecycle1", "lifecycle3")} == {
        n: before[n] for n in ("lifecycle1", "lifecycle3")
    }
    assert cluster.ready() == NODES


def test_a_node_whose_files_the_server_loses_is_made_again(
    lifecycle: Lab, cluster: Cluster
) -> None:
    """Incus takes a socket away when another instance starts just then; here somebody does."""
    with robbed(Path("/run/incus/lifecycle2/forkfile.sock")) as robberies:
        lifecycle.run("replace", "lifecycle2", "--plex", "lifecycle")

    assert robberies
    assert cluster.ready() == NODES


def test_scale_up_and_down(lifecycle: Lab, cluster: Cluster) -> None:
    before = uptime("lifecycle1")
    lifecycle.run("scale", "lifecycle", "--workers", "4")
    assert cluster.ready() == NODES | {"lifecycle4", "lifecycle5"}
    assert "workers: 4" in (lifecycle.root / "clusters/lifecycle/plex.yaml").read_text()

    lifecycle.run("scale", "lifecycle", "--workers", "1", "-y")
    assert {node["metadata"]["name"] for node in cluster.get("nodes")["items"]} == {
        "lifecycle1",
        "lifecycle2",
    }
    assert {n for n in host_state().instances if n.startswith("lifecycle")} == {
        "lifecycle1",
        "lifecycle2",
    }

    lifecycle.run("scale", "lifecycle", "--workers", "2")
    assert cluster.ready() == NODES
    assert uptime("lifecycle1") == before


def test_the_old_kubeconfig_survives_replace_master(lifecycle: Lab, cluster: Cluster) -> None:
    cluster.run("create", "configmap", "from-before")

    answer = lifecycle.ask("replace", "master", "--plex", "lifecycle", "-y")

    assert {change["name"] for change in answer["changes"]} == NODES
    assert cluster.ready() == NODES
    assert "from-before" not in cluster.run("get", "configmaps")
    assert lifecycle.run("ssh", "lifecycle3", "--", "hostname").out.strip() == "lifecycle3"


QUERY = """\
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(2)
    client.connect((sys.argv[1], 53))
    client.send(b"px\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\12kubernetes\\7default\\3svc\\7cluster\\5local\\0\\0\\1\\0\\1")
    print(client.recv(4096)[3] & 15)
"""


def test_dns_answers_every_node_at_the_end_of_a_run(lifecycle: Lab, cluster: Cluster) -> None:
    """Through the service, at the first attempt: kube-proxy of a worker may be late."""
    lifecycle.run("replace", "master", "--plex", "lifecycle", "-y")
    service = cluster.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIP"]
    for name in sorted(NODES):
        assert host().execute(name, ("python3", "-c", QUERY, service)).stdout == "0\n", name


def test_a_paused_node_is_resumed(lifecycle: Lab, cluster: Cluster) -> None:
    before = uptime("lifecycle3")
    subprocess.run(["incus", "pause", "lifecycle3"], check=True)
    assert "not running: lifecycle3" in lifecycle.run("status", "lifecycle", code=1).out

    changes = lifecycle.ask("up", "lifecycle")["changes"]

    assert [(one["action"], one["name"]) for one in changes] == [("start", "lifecycle3")]
    assert uptime("lifecycle3") == before
    eventually("all nodes are Ready", lambda: cluster.ready() == NODES)


def test_a_node_that_the_host_starts_at_the_same_time_is_no_error(lifecycle: Lab) -> None:
    """As after a restart of the machine."""
    host().stop("lifecycle3")
    starting = threading.Thread(target=host().start, args=("lifecycle3",))
    starting.start()
    lifecycle.run("up", "lifecycle")
    starting.join(60)
    assert host_state().instances["lifecycle3"].status == "Running"


def test_a_cordoned_node_is_not_healthy(lifecycle: Lab, cluster: Cluster) -> None:
    cluster.run("cordon", "lifecycle2")
    assert "cordoned: lifecycle2" in lifecycle.run("status", "lifecycle", code=1).out
    lifecycle.run("up", "lifecycle")  # it does not undo what somebody else has cordoned
    assert "cordoned: lifecycle2" in lifecycle.run("status", "lifecycle", code=1).out
    cluster.run("annotate", "node", "lifecycle2", "plexctl/draining=true")
    answer = lifecycle.run("up", "lifecycle")
    assert "lifecycle2 was cordoned by an interrupted run" in answer.err
    assert lifecycle.ask("status", "lifecycle")["healthy"]


def test_a_killed_run_is_finished_by_the_next(lifecycle: Lab, cluster: Cluster) -> None:
    """kill -9 between the new master and its workers."""
    old = host_state().instances["lifecycle1"].uuid
    process = lifecycle.start("replace", "master", "--plex", "lifecycle", "-y")

    def new_master() -> bool:
        seen = host_state().instances.get("lifecycle1")
        return seen is not None and seen.uuid != old

    eventually("the new master is there", new_master)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)

    answer = lifecycle.run("up", "lifecycle")

    assert "was interrupted; this one continues its work" in answer.err
    assert cluster.ready() == NODES
    assert lifecycle.ask("up", "lifecycle")["changes"] == []


def test_a_run_waits_for_the_requests_of_a_killed_run(lifecycle: Lab, cluster: Cluster) -> None:
    """kill -9 while Incus stops the master, which it goes on with; and `up` at once."""
    process = lifecycle.start("replace", "master", "--plex", "lifecycle", "-y")
    eventually("the master goes", lambda: "lifecycle1" in host().instances.changing(), every=0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)

    lifecycle.run("up", "lifecycle")

    assert cluster.ready() == NODES
    assert lifecycle.ask("up", "lifecycle")["changes"] == []


def test_a_lost_node_is_made_again(lifecycle: Lab, cluster: Cluster) -> None:
    """Somebody removed a worker and stopped another one behind plexctl's back."""
    host().delete_instance("lifecycle3")
    host().stop("lifecycle2")
    status = lifecycle.run("status", "lifecycle", code=1).out
    assert "missing" in status

    answer = lifecycle.ask("up", "lifecycle")

    changes = {change["name"]: change["action"] for change in answer["changes"]}
    assert changes == {"lifecycle2": "start", "lifecycle3": "create"}
    eventually("all nodes are Ready", lambda: cluster.ready() == NODES)


def test_a_node_that_the_cluster_has_forgotten_registers_again(
    lifecycle: Lab, cluster: Cluster
) -> None:
    """The state that a plexctl leaves which is killed before it recreates the machine."""
    before = uptime("lifecycle3")
    cluster.run("delete", "node", "lifecycle3")

    answer = lifecycle.run("up", "lifecycle")

    assert "lifecycle3 is not registered in the cluster" in answer.err
    assert cluster.ready() == NODES
    assert uptime("lifecycle3") == before


def test_destroy_leaves_nothing(lifecycle: Lab) -> None:
    lifecycle.run("destroy", "lifecycle", "-y")

    assert of_plex(host_state(), "lifecycle") == set()
    assert "plex-lifecycle" not in host_state().networks
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    assert "plex-lifecycle" not in links.stdout
    mounts = subprocess.run(["cat", "/proc/mounts"], capture_output=True, text=True, check=True)
    assert "lifecycle" not in mounts.stdout
    assert not (lifecycle.root / ".plexctl" / "plexes" / "lifecycle").exists()
    assert lifecycle.run("destroy", "lifecycle", "-y").code == 0


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
