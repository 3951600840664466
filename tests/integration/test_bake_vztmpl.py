"""Images of a real Incus made templates of containers on a Proxmox host, which is a fake one."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import pytest

from plexctl.model.types import Form
from tests.fake_node import install
from tests.fake_pve import FakePve

from .proxmox_story import Story, proxmox_lab
from .support import host


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A lab with the Incus of this machine, and a plex of containers on the Proxmox host."""
    incus = host()
    node = install(tmp_path_factory.mktemp("pve1"))
    with (
        FakePve(task_seconds=0.02) as pve,
        proxmox_lab(
            pve,
            tmp_path_factory.mktemp,
            form=Form.CONTAINER,
            base="debian12",
            environment={"PATH": node.path},
            privileges=("Sys.Modify",),
            others={"local": {}},
            ssh="root@pve1.test",
        ) as story,
    ):
        yield story
        for image in incus.images.list():
            if story.image in image.names:
                incus.delete_image(image.fingerprint)


def test_containers_are_baked_by_incus_and_their_image_is_carried_there(story: Story) -> None:
    wanted = story.lab.ask("bake")["images"]
    again = story.lab.ask("bake")["images"]
    (volume,) = story.pve.storages["local"].volumes.values()

    assert [(one["name"], one["host"], one["changed"]) for one in wanted] == [
        (story.image, "pve1", True)
    ]
    assert [one["changed"] for one in again] == [False]
    assert volume.volid == f"local:vztmpl/plexctl-{story.ctx.seed.lab_id}-{story.image}.tar.gz"
    assert volume.path is not None
    with tarfile.open(volume.path) as archive:
        names = set(archive.getnames())
    assert {"./etc/systemd/system/plex-boot.service", "./usr/sbin/sshd"} <= names
    assert all(one.startswith(".") for one in names)
    assert list(story.lab.home.glob("plexctl/bake/pve1/*.gz")) == []

    story.plexctl("up", "lifecycle", "--no-wait")
    assert all(guest.running for guest in story.nodes().values())
    story.plexctl("destroy", "lifecycle", "-y")
    assert story.pve.vms == {}
