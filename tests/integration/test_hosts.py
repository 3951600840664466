"""The story of a plex over two Incus hosts, one of which falls silent now and then."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind

from .conftest import ECHO, load_echo
from .nested import HERE_ALONE, NestedHost
from .support import (
    Answer,
    Cluster,
    Lab,
    delete_plex_objects,
    eventually,
    host,
    host_state,
    of_plex,
    stored_kubectl,
    typed,
    uptime,
)

PLEX = "wide"
NODES = {f"wide{number}" for number in range(1, 6)}
HERE, THERE = {"wide1", "wide3", "wide5"}, {"wide2", "wide4"}
FILE = """\
workers: 4
hosts: [local, second]
networks: {nodes: 10.79.2.0/24, pods: 10.191.0.0/16, services: 10.103.16.0/20}
"""
UNREACHABLE = "host second: Incus at {} does not answer"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, far: NestedHost) -> Iterator[Lab]:
    """A lab with two hosts, whose plex is to be on both; nothing is up."""
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    (lab.root / "clusters" / "hosts.yaml").write_text(HERE_ALONE)
    lab.run("init", PLEX)
    typed(lab, far.token(), "host", "add", "second", far.url, "--token")
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


@pytest.fixture(scope="module")
def second(wide: Lab, far: NestedHost) -> IncusHost:
    """The other machine's Incus, as the lab reaches it."""
    shown = wide.root / ".plexctl" / "hosts"
    there = HostSpec(
        "second", HostKind.INCUS, "", "default", 4, url=far.url, certificate=far.certificate
    )
    return IncusHost(there, Credentials(shown / "client.crt", shown / "client.key"))


@pytest.fixture(scope="module")
def cluster(wide: Lab, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Through a kubeconfig that is written once, before anything is recreated."""
    folder = tmp_path_factory.mktemp("kube")
    wide.run("kubeconfig", PLEX, "--output", str(folder / "config"))
    return Cluster(stored_kubectl(folder), folder / "config")


def test_up_spreads_the_nodes_over_both(wide: Lab, far: NestedHost, second: IncusHost) -> None:
    status = wide.ask("up", PLEX)["nodes"]

    assert {node["name"]: node["host"] for node in status} == {
        **dict.fromkeys(HERE, "local"),
        **dict.fromkeys(THERE, "second"),
    }
    assert all(node["ready"] for node in status)
    assert {n for n in host_state().instances if n.startswith(PLEX)} == HERE
    assert set(second.instances.list()) == THERE
    assert wide.ask("up", PLEX)["changes"] == []
    assert "wide" in wide.run("host", "remove", "second", code=2).err  # it is in use


def test_pods_reach_each_other_and_dns_over_hosts(
    wide: Lab, cluster: Cluster, second: IncusHost, echo_archive: Path
) -> None:
    for node in ("wide1", "wide3"):
        load_echo(host(), node, echo_archive)
    for node in sorted(THERE):
        load_echo(second, node, echo_archive)
    service: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    servers = [pod("web-here", "wide3"), pod("web-there", "wide2")]
    apply(cluster, service, *servers)
    eventually("both servers run", lambda: len(addresses(cluster)) == 2)

    ask = ("get", "http://web.default.svc.cluster.local/")
    apply(cluster, pod("asking-here", "wide1", *ask), pod("asking-there", "wide4", *ask))

    for asking in ("asking-here", "asking-there"):
        eventually(f"{asking} has ended", partial(succeeded, cluster, asking))
        assert set(cluster.run("logs", asking).split()) == {"web-here", "web-there"}
    for name, address in addresses(cluster).items():  # and from this machine, through no node
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=10) as answer:
            assert answer.read().decode().strip() == name


def test_scale_up_and_back(wide: Lab, cluster: Cluster, second: IncusHost) -> None:
    before = uptime("wide1")

    wide.run("scale", PLEX, "--workers", "6")
    assert cluster.ready() == NODES | {"wide6", "wide7"}
    assert set(second.instances.list()) == THERE | {"wide6"}

    wide.run("scale", PLEX, "--workers", "4", "-y")
    assert cluster.ready() == NODES
    assert set(second.instances.list()) == THERE
    assert uptime("wide1") == before


def test_the_old_kubeconfig_survives_replace_master(wide: Lab, cluster: Cluster) -> None:
    answer = wide.ask("replace", "master", "--plex", PLEX, "-y")

    assert {change["name"] for change in answer["changes"]} == NODES
    assert cluster.ready() == NODES
    assert "web" not in cluster.run("get", "services")


def test_a_host_becomes_unreachable_during_a_run(
    wide: Lab, far: NestedHost, cluster: Cluster
) -> None:
    """While its node is being replaced; nodes run on without the daemon that made them."""
    before = {name: uptime(name) for name in HERE}
    running = wide.start("replace", "wide2", "wide3", "--plex", PLEX)
    assert running.stderr
    steps = ""
    while "drain wide2" not in steps:  # the end of that step
        line = running.stderr.readline()
        assert line, steps
        steps += line if line.startswith("✓") else ""
    far.freeze()
    out, err = running.communicate(timeout=300)

    assert running.returncode == 1, out + err
    assert f"error: {UNREACHABLE.format(far.url)}\n" in err
    assert "  not changed: wide2, wide4\n  everything else is done\n" in err
    assert "hint: when the host answers again: `plexctl up`" in err
    assert "Traceback" not in err
    after = {name: uptime(name) for name in HERE}
    assert {name for name in HERE if after[name] != before[name]} == {"wide3"}
    assert cluster.ready() >= HERE


def test_verbs_continue_without_the_unreachable_host(
    wide: Lab, far: NestedHost, cluster: Cluster
) -> None:
    unreachable = UNREACHABLE.format(far.url)
    looks = (("plan", PLEX), ("status", PLEX), ("list",), ("host", "list"))
    with ThreadPoolExecutor() as at_once:
        scaled = at_once.submit(lambda: wide.run("scale", PLEX, "--workers", "6", code=1).err)
        plan, status, plexes, hosts = at_once.map(lambda words: wide.run(*words, code=None), looks)

    assert f"error: {unreachable}\n" in scaled.result()
    assert "  not changed: wide2, wide4, wide6\n  everything else is done\n" in scaled.result()
    assert cluster.ready() >= HERE | {"wide7"}
    for shown in (plan, status, plexes, hosts):
        assert unreachable in shown.out, shown
        assert "Traceback" not in shown.err
    # Not all is known, so 0 is no answer; 3 while the other host may not have its node yet.
    assert plan.code in (1, 3)
    assert status.code == hosts.code == 1
    assert plexes.code == 0
    row = next(
        one for one in rows(wide.run("status", PLEX, "--json", code=1)) if one["name"] == "wide4"
    )
    assert row["instance"] == "unknown"


def test_the_next_up_mends_it(
    wide: Lab, far: NestedHost, cluster: Cluster, second: IncusHost
) -> None:
    before = {name: uptime(name) for name in (*HERE, "wide7")}
    far.thaw()

    changes = wide.ask("up", PLEX)["changes"]

    assert {change["name"] for change in changes} <= {"wide2", "wide6"}
    assert "wide6" in {change["name"] for change in changes}
    assert cluster.ready() == NODES | {"wide6", "wide7"}
    assert {name: uptime(name) for name in before} == before
    assert wide.ask("up", PLEX)["changes"] == []


def test_an_up_waits_for_a_daemon_that_was_killed_just_before(
    wide: Lab, far: NestedHost, cluster: Cluster
) -> None:
    wide.run("scale", PLEX, "--workers", "2", "-y")
    before = {name: uptime(name) for name in HERE - {"wide5"}}
    far.kill()

    changes = wide.ask("scale", PLEX, "--workers", "4")["changes"]

    assert {change["name"] for change in changes} == {"wide4", "wide5"}
    assert wide.run("plan", PLEX).out == f"{PLEX}: nothing to do\n"
    far.kill()
    assert wide.ask("up", PLEX)["changes"] == []
    assert cluster.ready() == NODES
    assert {name: uptime(name) for name in before} == before


@pytest.mark.parametrize(
    "seconds", [0.0, 0.5, 1.0, 2.0] if "PLEXCTL_KILLS" in os.environ else [2.0]
)
def test_a_daemon_is_killed_in_the_middle_of_a_run_and_the_next_converges(
    wide: Lab, far: NestedHost, cluster: Cluster, second: IncusHost, seconds: float
) -> None:
    """`seconds` after the node that it has was drained: while that is deleted, created, started."""
    wide.run("up", PLEX)
    kept = {name: uptime(name) for name in HERE}
    running = wide.start("replace", "wide2", "--plex", PLEX)
    assert running.stderr
    steps = ""
    while "drain wide2" not in steps:  # the end of that step
        line = running.stderr.readline()
        assert line, steps
        steps += line if line.startswith("✓") else ""
    time.sleep(seconds)
    far.kill()
    out, err = running.communicate(timeout=300)

    assert running.returncode in (0, 1), out + err
    assert "Traceback" not in err
    assert "Connection aborted" not in err
    if running.returncode:
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert errors in (
            ["error: host second: Incus was restarted while this command used it"],
            [f"error: {UNREACHABLE.format(far.url)}"],  # its service took longer than 15 seconds
        ), err

    far.wait_for_daemon()
    wide.run("up", PLEX)
    assert wide.run("plan", PLEX).out == f"{PLEX}: nothing to do\n"
    assert cluster.ready() == NODES
    assert set(second.read().instances) == THERE
    assert {name: uptime(name) for name in HERE} == kept


def test_destroy_leaves_nothing_on_either(wide: Lab, far: NestedHost, second: IncusHost) -> None:
    far.freeze()
    half = wide.run("destroy", PLEX, "-y", code=1).err
    assert f"error: {UNREACHABLE.format(far.url)}\n" in half
    assert "  objects of wide on this host were not deleted; all others were\n" in half
    assert of_plex(host_state(), PLEX) == set()
    far.thaw()
    assert of_plex(second.read(), PLEX)

    wide.run("destroy", PLEX, "-y")

    assert of_plex(second.read(), PLEX) == set()
    assert f"plex-{PLEX}" not in {*second.read().networks, *host_state().networks}
    for links in (subprocess.check_output(("ip", "-br", "link"), text=True), far.run("ip", "link")):
        assert PLEX not in links
    assert not (wide.root / ".plexctl" / "plexes" / PLEX).exists()


def pod(name: str, node: str, *args: str) -> dict[str, object]:
    """A server, or (with `args`) a client that ends when it has had two servers' answers."""
    container = {"name": "echo", "image": ECHO, "imagePullPolicy": "Never", "args": list(args)}
    labels = {} if args else {"app": "web"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container]},
    }


def apply(cluster: Cluster, *objects: dict[str, object]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.run("apply", "-f", "-", stdin=json.dumps(listed))


def addresses(cluster: Cluster) -> dict[str, str]:
    """Of the servers that run."""
    return {
        found["metadata"]["name"]: found["status"]["podIP"]
        for found in cluster.get("pods", "-l", "app=web")["items"]
        if found["status"]["phase"] == "Running"
    }


def succeeded(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("pod", name)["status"]["phase"] == "Succeeded")


def rows(answer: Answer) -> list[Any]:
    return list(json.loads(answer.out)["nodes"])
