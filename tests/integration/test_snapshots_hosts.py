"""A plex on two hosts is saved, brought back, exported, and imported where one host is another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from .nested import HERE_ALONE, NestedHost
from .support import Cluster, Lab, delete_plex_objects, objects, stored_kubectl, typed

PLEX = "pair"
NODES = {f"{PLEX}1": "local", f"{PLEX}2": "far"}
FILE = """\
workers: 1
hosts: [local, far]
networks: {nodes: 10.107.12.0/24, pods: 10.242.0.0/16, services: 10.107.32.0/20}
"""
NOTE = "/srv/note"


@dataclass(frozen=True)
class Story:
    lab: Lab
    cluster: Cluster
    file: Path

    def write(self, text: str) -> None:
        """A file on each node, and an object of the cluster."""
        for node in NODES:
            self.lab.run("exec", node, "--", "sh", "-c", f"echo {text} > {NOTE}")
        self.cluster.run("delete", "configmap", "note", "--ignore-not-found")
        self.cluster.run("create", "configmap", "note", f"--from-literal=text={text}")

    def written(self) -> set[str]:
        found = {self.lab.run("exec", node, "--", "cat", NOTE).out.strip() for node in NODES}
        return found | {self.cluster.get("configmap", "note")["data"]["text"]}

    def hosts(self) -> dict[str, str]:
        return {one["name"]: one["host"] for one in self.lab.ask("status", PLEX)["nodes"]}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NestedHost, NestedHost]]:
    """The machine that is the host `far` first, and the one that replaces it."""
    addresses = (IPv4Interface("198.18.77.31/24"), IPv4Interface("198.18.77.32/24"))
    first, other = (
        NestedHost(tmp_path_factory.mktemp("machine"), f"plextest-twin{number}", address)
        for number, address in enumerate(addresses)
    )
    with first, other:
        yield first, other


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory, machines: tuple[NestedHost, NestedHost]
) -> Iterator[Story]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    (lab.root / "clusters" / "hosts.yaml").write_text(HERE_ALONE)
    lab.run("init", PLEX)
    typed(lab, machines[0].token(), "host", "add", "far", machines[0].url, "--token")
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    lab.run("up", PLEX)
    folder = tmp_path_factory.mktemp("kube")
    lab.run("kubeconfig", PLEX, "--output", str(folder / "config"))
    cluster = Cluster(stored_kubectl(folder), folder / "config")
    yield Story(lab, cluster, folder / "before.tar")
    lab.run("destroy", PLEX, "-y", code=None)


def test_both_hosts_go_back_to_one_instant(story: Story) -> None:
    story.write("before")
    saved = story.lab.ask("snapshot", "save", "before", "--plex", PLEX)
    assert saved["nodes"] == sorted(NODES)
    story.write("after")

    story.lab.run("snapshot", "restore", "before", "--plex", PLEX, "-y")

    assert story.written() == {"before"}
    assert story.cluster.ready() == set(NODES)
    assert story.lab.ask("up", PLEX)["changes"] == []


def test_an_export_of_both_hosts_is_one_file(
    story: Story, machines: tuple[NestedHost, NestedHost]
) -> None:
    words = ("snapshot", "export", "before", str(story.file), "--plex", PLEX)
    answer = story.lab.ask(*words)
    assert answer["nodes"] == sorted(NODES)
    assert story.file.stat().st_mode & 0o777 == 0o600
    assert story.file.stat().st_size > answer["size"]
    assert "exists already" in story.lab.run(*words, code=2).err
    assert "plexctl.copy" not in machines[0].run("incus", "query", "/1.0/images?recursion=1")


def test_an_import_creates_the_plex_on_another_machine(
    story: Story, machines: tuple[NestedHost, NestedHost]
) -> None:
    """With the same lab: the host has another server, certificate and address."""
    story.lab.run("destroy", PLEX, "-y")
    plex_file = story.lab.root / "clusters" / PLEX / "plex.yaml"
    plex_file.write_text(FILE.replace("[local, far]", "[local]"))
    story.lab.run("host", "remove", "far")
    typed(story.lab, machines[1].token(), "host", "add", "far", machines[1].url, "--token")
    plex_file.write_text(FILE)

    answer = story.lab.ask("snapshot", "import", str(story.file), "--name", "moved")

    assert {one["name"]: one["ready"] for one in answer["nodes"]} == dict.fromkeys(NODES, True)
    assert story.hosts() == NODES
    assert f"{PLEX}2" in machines[1].run("incus", "list", "--format=csv", "--columns=n")
    assert story.written() == {"before"}, "through the kubeconfig of before"
    assert story.lab.ask("up", PLEX)["changes"] == []
    assert "plexctl.copy" not in machines[1].run("incus", "query", "/1.0/images?recursion=1")


def test_an_imported_plex_can_go_back_to_its_snapshot(story: Story) -> None:
    story.write("later")
    story.lab.run("snapshot", "restore", "moved", "--plex", PLEX, "-y")
    assert story.written() == {"before"}


def test_destroy_leaves_nothing(story: Story, machines: tuple[NestedHost, NestedHost]) -> None:
    story.lab.run("destroy", PLEX, "-y")
    assert objects(PLEX) == {}
    assert PLEX not in machines[1].run("incus", "list", "--format=csv", "--columns=n")
