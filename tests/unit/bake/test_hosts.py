"""The way that an image takes to each kind of host."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from plexctl.bake.builder import BakeSetup
from plexctl.bake.copy import CopyBuilder
from plexctl.bake.hosts import image_builder
from plexctl.bake.incus import IncusBuilder
from plexctl.bake.proxmox import BakeAddress, ProxmoxBuilder
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError
from plexctl.model.host import Host
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.observed import ObservedImage
from plexctl.model.secret import Secret
from tests.fake_incus import FACTS, LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .conftest import Ensure, have_whole
from .host import LAB, SEED, kube

FAR = replace(LOCAL, name="far", url="https://10.0.0.7:8443", certificate="ab" * 32)
DIGEST = sha256(b"a tarball").hexdigest()
PVE = HostSpec(
    "pve1",
    HostKind.PROXMOX,
    "",
    "local-lvm",
    4,
    url="https://10.0.0.8:8006",
    proxmox=Proxmox("pve1", "plexctl@pve!lab"),
)


@pytest.fixture
def hosts(incus: FakeIncus) -> dict[str, Host]:
    return {
        "far": FakeIncus(FAR),
        "local": incus,
        "pve1": ProxmoxHost(PVE, Secret(b"secret")),
    }


@pytest.fixture
def setup(tmp_path: Path) -> BakeSetup:
    return BakeSetup({}, lambda role: tmp_path / role, SEED, NullReporter(), tmp_path / "work")


def no_address() -> BakeAddress:
    raise AssertionError("no VM is baked on a Proxmox host")


def test_each_kind_of_host_has_its_builder(hosts: dict[str, Host], setup: BakeSetup) -> None:
    assert isinstance(image_builder(hosts, "local", setup, no_address), IncusBuilder)
    far = image_builder(hosts, "far", setup, no_address)
    assert isinstance(far, CopyBuilder)
    assert (far.local.incus, far.target) == (hosts["local"], hosts["far"])
    assert isinstance(image_builder(hosts, "pve1", setup, no_address), ProxmoxBuilder)


def test_only_a_host_of_this_machine_bakes_containers(
    hosts: dict[str, Host], setup: BakeSetup
) -> None:
    del hosts["local"]
    with pytest.raises(PlexError, match="no host can bake for host far"):
        image_builder(hosts, "far", setup, no_address)
    proxmox = image_builder(hosts, "pve1", setup, no_address)  # VMs need none
    assert isinstance(proxmox, ProxmoxBuilder)
    with pytest.raises(PlexError, match="no host can bake for host pve1"):
        proxmox.containers()


def test_another_host_gets_the_image_and_the_volume_that_its_nodes_share(
    hosts: dict[str, Host], incus: FakeIncus, setup: BakeSetup, make: Ensure
) -> None:
    have_whole(incus)
    incus.images.held = [replace(one, fingerprint=DIGEST) for one in incus.images.held]
    incus.images.pieces[DIGEST] = (b"a tarball",)
    far = hosts["far"]
    assert isinstance(far, FakeIncus)
    builder = image_builder(hosts, "far", setup, no_address)

    assert builder.ensure(kube(), FACTS).changed
    used = {f"plexctl.lab.{LAB}": "yes"}
    assert far.images.held == [ObservedImage(DIGEST, (kube().name,), used, 1)]
    assert far.volumes.held[kube().name].whole
    assert far.instances.held == {}
    far.calls.clear()

    assert not builder.ensure(kube(), FACTS).changed
    assert {call for call, _ in far.calls} == {"images.list", "volumes.list"}
