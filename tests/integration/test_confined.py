"""A lab that is confined to its project: it needs no socket, and is refused everything else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from plexctl.bake.base import SHARED_BRIDGE
from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError

from .support import Lab, eventually, host_state

PLEX = "confined"
FILE = """\
workers: 1
networks: {nodes: 10.79.1.0/24, pods: 10.190.0.0/16, services: 10.103.0.0/20}
"""


def incus(*words: str) -> str:
    """The command incus, as an administrator of the host calls it."""
    done = subprocess.run(
        ("incus", *words), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"incus {words}: {done.stderr}"
    return done.stdout


def project_of(lab: Lab) -> str:
    found = load_lab(lab.root, load_pins().versions()).hosts["local"].project
    assert found is not None
    return found


def objects(project: str) -> dict[str, list[str]]:
    """The names of everything in a project, as an administrator sees it."""
    inside = ("--project", project, "--format", "json")
    return {
        "instances": [one["name"] for one in json.loads(incus("list", *inside))],
        "images": [one["fingerprint"] for one in json.loads(incus("image", "list", *inside))],
        "profiles": [one["name"] for one in json.loads(incus("profile", "list", *inside))],
        "volumes": [
            one["name"]
            for one in json.loads(incus("storage", "volume", "list", "default", *inside))
            if one["type"] == "custom"
        ],
    }


def confine(lab: Lab) -> str:
    """Let the lab be confined, and take the socket from it; the name of its project."""
    lab.run("host", "trust", "local", "-y")
    hosts = lab.root / "clusters" / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("    project:", "    socket: /none\n    project:"))
    return project_of(lab)


def delete_network(name: str, *, acl: bool = True) -> None:
    """Delete a bridge and its ACL. Incus refuses that while a bridge of somebody else ends."""

    def deleted() -> bool:
        words = ("incus", "network", "delete", name)
        return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0

    eventually(f"the network {name} is deleted", deleted)
    if acl:
        incus("network", "acl", "delete", name)


def forget(project: str) -> None:
    """Delete a project with its trust, as an administrator does."""
    for one in json.loads(incus("config", "trust", "list", "--format", "json")):
        if project in one["projects"]:
            incus("config", "trust", "remove", one["fingerprint"])
    incus("project", "delete", project)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The project of another lab."""
    lab = Lab(tmp_path_factory.mktemp("other"), tmp_path_factory.mktemp("home"))
    lab.run("init", "confother")
    project = confine(lab)
    yield project
    forget(project)
    delete_network("plex-confother")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A confined lab. Its project gets the image that the project default has: that is quicker."""
    had = SHARED_BRIDGE in host_state().networks
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    image = lab.ask("bake")["images"][0]["name"]
    project = confine(lab)
    incus(
        "image", "copy", f"local:{image}", "local:", "--copy-aliases", "--target-project", project
    )
    yield lab
    lab.run("destroy", PLEX, "-y", "--images", code=None)
    forget(project)
    delete_network(f"plex-{PLEX}")
    if not had:
        delete_network(SHARED_BRIDGE, acl=False)


def client_of(lab: Lab, project: str) -> IncusHost:
    """A client with the lab's certificate, for any project."""
    spec = load_lab(lab.root, load_pins().versions()).hosts["local"]
    folder = lab.root / ".plexctl" / "hosts"
    shown = Credentials(folder / "client.crt", folder / "client.key")
    return IncusHost(replace(spec, project=project), shown)


def test_a_confined_lab_comes_up_without_the_socket(lab: Lab) -> None:
    nodes = lab.ask("up", PLEX)["nodes"]
    assert {node["name"]: node["ready"] for node in nodes} == {"confined1": True, "confined2": True}
    assert set(objects(project_of(lab))["instances"]) == {"confined1", "confined2"}
    assert lab.run("exec", "confined2", "--", "hostname").out.strip() == "confined2"
    assert lab.ask("up", PLEX)["changes"] == []


def test_the_server_refuses_a_confined_lab_the_projects_of_others(lab: Lab, other: str) -> None:
    own = client_of(lab, project_of(lab))
    assert own.connection.may_use(project_of(lab))
    for project in (other, "default"):
        assert not own.connection.may_use(project)
        with pytest.raises(PlexError, match="does not have permission"):
            client_of(lab, project).delete_instance("confined1")
    changes: tuple[Callable[[], None], ...] = (
        lambda: own.networks.delete("plex-confother"),
        lambda: own.networks.put("plex-mine", (), exists=False),
        lambda: own.networks.delete(f"plex-{PLEX}"),
    )
    for change in changes:
        with pytest.raises(PlexError, match=r"permission|not allowed"):
            change()


def test_a_network_that_changes_is_named_with_who_can_change_it(lab: Lab) -> None:
    file = lab.root / "clusters" / PLEX / "plex.yaml"
    file.write_text(FILE.replace("10.79.1.0", "10.79.21.0"))
    refused = lab.run("up", PLEX, code=1).err
    file.write_text(FILE)
    assert "network plex-confined on host local differs from the files" in refused
    assert "plexctl host trust local --print" in refused


def test_destroy_leaves_nothing_in_the_project(lab: Lab) -> None:
    lab.run("destroy", PLEX, "-y", "--images")
    left = {"instances": [], "images": [], "profiles": ["default"], "volumes": []}
    assert objects(project_of(lab)) == left
