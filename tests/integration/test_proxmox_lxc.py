"""A plex of containers on a Proxmox host, through plexctl's own verbs.

What the API does not take goes to a node of the cluster over SSH, which is a program in its place.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator

import pytest

from plexctl.model.types import Form
from tests.fake_node import Node, install
from tests.fake_pve import FakePve, Guest
from tests.proxmox import documented_privileges

from .proxmox_story import Story, proxmox_lab

BOOT = "/var/lib/plexctl/boot.tar"
NODES = ("lifecycle1", "lifecycle2", "lifecycle3")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    return install(tmp_path_factory.mktemp("pve1"))


@pytest.fixture(scope="module")
def story(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with (
        FakePve(task_seconds=0.05) as pve,
        proxmox_lab(
            pve,
            tmp_path_factory.mktemp,
            form=Form.CONTAINER,
            environment={"PATH": node.path},
            privileges=("Sys.Modify",),
            ssh="root@pve1.test",
        ) as story,
    ):
        # What a bake would have carried there: test_bake_proxmox has one.
        pve.add_volume(volume(story), b"archive")
        yield story


def volume(story: Story) -> str:
    return f"local:vztmpl/plexctl-{story.ctx.seed.lab_id}-{story.image}.tar.gz"


def test_a_plex_of_containers_comes_up_and_then_nothing_is_left_to_do(
    story: Story, node: Node
) -> None:
    started: dict[str, bytes] = {}

    def look(guest: Guest) -> None:
        started[guest.name] = node.file(guest.vmid, BOOT).read_bytes()

    story.pve.on_start = look
    story.plexctl("up", "lifecycle", "--no-wait")
    story.pve.on_start = None
    config = story.nodes()["lifecycle1"].config

    assert set(story.nodes()) == set(NODES) == started.keys()
    assert all(guest.kind == "lxc" and guest.running for guest in story.nodes().values())
    assert "bridge=vmbr0" in config["net0"]
    assert config["net0"].endswith("tag=7")
    assert "size=20G" in config["rootfs"]
    assert story.lab.ask("plan")["changes"] == []
    for name, content in started.items():
        with tarfile.open(fileobj=io.BytesIO(content)) as boot:
            found = boot.extractfile("etc/hostname")
            assert found is not None
            assert found.read().decode().strip() == name


def test_status_and_programs_see_them(story: Story) -> None:
    answer = json.loads(story.lab.run("status", "lifecycle", "--json", code=1).out)

    assert {row["name"]: row["instance"] for row in answer["nodes"]} == dict.fromkeys(
        NODES, "Running"
    )
    assert "echo a b" in story.plexctl("exec", "lifecycle2", "--", "echo", "a b", code=7)


def test_scaling_leaves_the_others_as_they_are(story: Story) -> None:
    before = runs(story)
    story.plexctl("scale", "lifecycle", "--workers", "3", "--no-wait", "-y")
    more = runs(story)
    story.plexctl("scale", "lifecycle", "--workers", "2", "--no-wait", "-y")

    assert more == {**before, "lifecycle4": more["lifecycle4"]}
    assert runs(story) == before


def test_replace_recreates_the_named_nodes_and_for_a_master_its_workers(story: Story) -> None:
    before = runs(story)
    story.plexctl("replace", "lifecycle2", "--no-wait", "-y")
    one = runs(story)
    story.plexctl("replace", "master", "--no-wait", "-y")

    assert {name for name in before if before[name] != one[name]} == {"lifecycle2"}
    assert {name for name, run in runs(story).items() if run != one[name]} == set(NODES)


def runs(story: Story) -> dict[str, str]:
    """The run that each node was made by."""
    notes = {name: guest.config["description"] for name, guest in story.nodes().items()}
    return {name: json.loads(text.partition(" ")[2])["run"] for name, text in notes.items()}


def test_a_login_that_is_refused_is_one_message_and_the_next_run_mends_it(
    story: Story, node: Node
) -> None:
    node.refuse()
    said = story.plexctl("replace", "lifecycle3", "--no-wait", "-y", code=1)
    node.accept()
    planned = json.loads(story.lab.run("plan", "--json", code=3).out)["changes"]
    story.plexctl("up", "lifecycle", "--no-wait")

    assert "check that `ssh root@pve1.test` works without a password" in said
    assert "Traceback" not in said
    assert [(one["name"], one["reason"]) for one in planned] == [
        ("lifecycle3", "creation was interrupted")
    ]
    assert all(guest.running for guest in story.nodes().values())
    assert node.mounted() == []


def test_privileged_containers_need_a_privilege_of_their_own(story: Story) -> None:
    story.pve.add_token("plexctl@pve", "lab", documented_privileges())
    said = story.plexctl("replace", "lifecycle3", "--no-wait", "-y", code=1)
    story.pve.add_token("plexctl@pve", "lab", [*documented_privileges(), "Sys.Modify"])
    story.plexctl("up", "lifecycle", "--no-wait")

    assert "the token plexctl@pve!lab lacks Sys.Modify on /" in said


def test_opentofu_is_refused_where_it_is_written(story: Story) -> None:
    file = story.lab.root / "clusters" / "lifecycle" / "plex.yaml"
    before = file.read_text()
    file.write_text(before.replace("engine: direct", "engine: tofu"))
    said = story.plexctl("up", "lifecycle", "--no-wait", code=2)
    file.write_text(before)

    assert "type box is a container, and on pve1 OpenTofu creates only VMs" in said
    assert story.lab.ask("plan")["changes"] == []


def test_destroying_leaves_neither_containers_nor_the_template(story: Story) -> None:
    story.plexctl("destroy", "lifecycle", "-y")
    assert list(story.pve.storages["local"].volumes) == [volume(story)]
    story.plexctl("destroy", "lifecycle", "--images", "-y")

    assert story.pve.vms == {}
    assert not any(storage.volumes for storage in story.pve.storages.values())
