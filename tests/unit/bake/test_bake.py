"""A bake creates missing images, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.bake import shared
from plexctl.bake.base import bake_network, create_bridge
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.cleanup import sweep
from plexctl.bake.prune import prune
from plexctl.clients import ansible
from plexctl.errors import PlexError
from plexctl.model.observed import ObservedNetwork
from plexctl.model.types import Form
from plexctl.plan.recipes import layers
from plexctl.plan.resources.profile import node_config
from tests.fake_incus import FACTS, LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .conftest import Ensure, have_whole
from .host import APPLIED, LAB, SEED, kube

NO_SEAL = "lxc.cap.drop=linux_immutable"


def test_an_image_that_exists_is_not_baked_again(incus: FakeIncus, make: Ensure) -> None:
    there = have_whole(incus)

    assert make(kube()) == BakedImage(kube().name, there, changed=False)
    assert incus.calls == [("images.list", ""), ("volumes.list", "")]


def test_layers_are_baked_from_the_base_up_and_only_images_remain(
    incus: FakeIncus, make: Ensure, applied: list[str], tmp_path: Path
) -> None:
    image = make(kube())

    assert image.changed
    assert applied == ["base", "runtime", "kube"]
    assert incus.images.names() == {layer.name for layer in layers(kube())}
    assert incus.instances.held == {}
    assert all(stored.names for stored in incus.images.held)
    assert [path.name for path in (tmp_path / "work" / "local").iterdir()] == ["lock"]


def test_a_change_of_the_last_layer_bakes_only_that(
    incus: FakeIncus, make: Ensure, applied: list[str]
) -> None:
    old = make(kube())
    applied.clear()

    new = make(kube(kube="k2"))

    assert applied == ["kube"]
    assert new.name != old.name
    assert old.name in incus.images.names()  # it serves until the new one does


def test_a_new_image_is_unpacked_by_the_instance_that_fills_the_shared_volume(
    incus: FakeIncus, make: Ensure
) -> None:
    make(kube())

    created = incus.names("instances.create")
    assert created[-1].startswith(f"plex-bake-share-{kube().digest[:8]}-")
    assert [name for name, volume in incus.volumes.held.items() if volume.whole] == [kube().name]
    assert incus.instances.held == {}


def test_only_the_instance_that_fills_the_shared_volume_can_unseal_it(
    incus: FakeIncus, make: Ensure
) -> None:
    """Nodes lack the capability: their roots cannot change programs that other nodes run."""
    make(kube())

    lacks = {name: NO_SEAL in config["raw.lxc"] for name, config in incus.instances.config.items()}
    (share,) = (name for name in lacks if name.startswith("plex-bake-share-"))
    assert [name for name, lacking in lacks.items() if not lacking] == [share]
    assert NO_SEAL in node_config(Form.CONTAINER, privileged=True, facts=FACTS)["raw.lxc"]
    sealing = incus.instances.scripts[-1]
    assert sealing.index(" fill /mnt\n") < sealing.index("chattr -R +i /mnt/bin /mnt/cni")


def test_an_image_without_a_shared_volume_is_unpacked_by_an_instance_that_never_starts(
    incus: FakeIncus, make: Ensure
) -> None:
    alone = replace(kube(), shared=False)
    make(alone)

    created = incus.names("instances.create")
    assert created[-1].startswith(f"plex-bake-unpack-{kube().digest[:8]}-")
    assert incus.volumes.held == {}
    assert len(incus.names("instances.start")) == 3


def test_a_shared_volume_that_is_incomplete_is_filled_by_the_next_bake(
    incus: FakeIncus, make: Ensure
) -> None:
    incus.instances.failing = (shared.FILL,)
    with pytest.raises(PlexError, match="cannot copy the files"):
        make(kube())
    assert incus.volumes.held == {}
    incus.instances.failing = ()

    assert not make(kube()).changed
    assert incus.volumes.held[kube().name].whole


def test_the_shared_volume_is_deleted_with_its_image(incus: FakeIncus, make: Ensure) -> None:
    make(kube())
    everything = incus.read()
    assert prune(incus, {layer.name for layer in layers(kube())}, LAB).deleted == ()
    assert incus.read() == everything

    prune(incus, set(), LAB)

    assert incus.volumes.held == {}
    assert incus.images.held == []


def test_files_of_a_layer_are_readable_whatever_their_owner(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "kubenode" / "files" / "runtime" / "boot"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    modes: dict[str, int] = {}

    def look(play: Any, **_: Any) -> ansible.Applied:
        disk = incus.instances.devices[next(iter(play.machines))]["stage"]
        assert disk["readonly"] == "true"
        if play.tasks == "runtime":
            stage = Path(disk["source"])
            seen = (stage, *stage.rglob("*"))
            modes.update({str(p.relative_to(stage)): p.stat().st_mode & 0o777 for p in seen})
        return APPLIED

    monkeypatch.setattr(ansible, "apply", look)
    umask = os.umask(0o077)
    try:
        make(kube())
    finally:
        os.umask(umask)

    assert modes["."] == modes["depot"] == modes["depot/runc"] == modes["role/files"] == 0o755
    assert modes["role/files/runtime/boot"] == 0o755
    assert modes["role/tasks/runtime.yml"] == 0o644
    assert modes["depot/runc/runc"] == 0o444  # the blob itself


CONFINED = replace(LOCAL, url="https://127.0.0.1:8443", project="plexctl-1a2b", this_machine=True)


def test_a_confined_lab_bakes_on_a_bridge_that_it_neither_creates_nor_deletes() -> None:
    """FakeIncus refuses both there, as Incus does."""
    incus, network = FakeIncus(CONFINED), bake_network(CONFINED, LAB)
    create_bridge(incus, network, {})
    incus.networks.held["plexctl-bake"] = ObservedNetwork("plexctl-bake", {"lab": LAB, "bake": "x"})
    sweep(incus, LAB)

    assert network.bridge == "plexctl-bake"
    assert set(incus.networks.held) == {"plexctl-bake"}
    other = bake_network(CONFINED, "0" * 32)
    assert network.address != other.address
    assert network.mac != other.mac
    assert network.address in network.gateway.network


def test_ansible_reaches_an_instance_in_the_project_of_the_lab(tmp_path: Path) -> None:
    setup = BakeSetup({}, Path, SEED, NullReporter(), tmp_path, lambda host: tmp_path / host.name)
    assert setup.incus_environment(CONFINED) == {"INCUS_CONF": str(tmp_path / "local")}
    assert setup.incus_environment(LOCAL) == {"INCUS_SOCKET": LOCAL.socket}
    variables = ansible.incus("i", "local", "plexctl-1a2b")
    assert variables["ansible_incus_remote"] == "local"
    assert variables["ansible_incus_project"] == "plexctl-1a2b"
    assert "ansible_incus_project" not in ansible.incus("i")
