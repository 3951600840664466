"""An Incus server accepts the definition of a VM, and the disc that it boots with.

A server that supports VMs creates one, stopped. A server that does not refuses every VM at once:
there its settings and devices are checked by the server's own rules as a profile.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.bake.vm import packed
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import VM_FACTS
from plexctl.model.observed import ObservedVolume
from plexctl.model.plex import JsonText, Networks, Plex
from plexctl.model.secret import Secret
from plexctl.model.settings import settings
from plexctl.model.types import Base, BaseSource, Form, NodeType, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Instance, Profile
from plexctl.provision.change import DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.direct.incus import write_seed

from .support import LOCAL, create_network, delete_network, host

NAME = "plexvmt"
HOST = replace(LOCAL, pci={"card": "0000:01:00.0"})


@pytest.fixture
def plan() -> Plan:
    base = Base("cloud", "bookworm", Form.VM, BaseSource.CLOUD, (), None, None, None, "x", "x")
    size = Size(cpu=2, memory=3 << 30, disk=12 << 30)
    none = JsonText("{}")
    networks = Networks(
        IPv4Network("10.97.214.0/28"), IPv4Network("10.141.224.0/20"), IPv4Network("10.98.209.0/24")
    )
    plex = Plex(
        name=NAME,
        file=Path("clusters/plexvmt/plex.yaml"),
        kubernetes="1.36.3",
        host_order=("local",),
        type=NodeType("kube", "kubenode", base, (), True, True, size, pci=("card",)),
        workers=0,
        networks=networks,
        domain="cluster.local",
        dns_replicas=1,
        epoch=1,
        groups=(),
        cluster=none,
        proxy=none,
    )
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    inputs = Inputs(
        RootSeed(Secret(os.urandom(32))),
        {"local": HOST},
        {"local": VM_FACTS},
        {name: f"registry.k8s.io/{name}:v1" for name in programs},
        {("local", "kube"): "plex-kube-0123456789ab"},
    )
    return plan_plex(plex, inputs)


@pytest.fixture
def incus(plan: Plan) -> Iterator[IncusHost]:
    incus = host()
    _sweep(incus)
    create_network(incus, plan)
    yield incus
    _sweep(incus)


def _sweep(incus: IncusHost) -> None:
    state = incus.read()
    for name in (n for n in state.instances if n.startswith(NAME)):
        incus.delete_instance(name)
    for name in (n for n in state.profiles if n.startswith(f"plex-{NAME}")):
        incus.profiles.delete(name)
    for name in (n for n in state.volumes if n.startswith(NAME)):
        incus.delete_volume(name)
    delete_network(incus, state, f"plex-{NAME}")


def _profile(plan: Plan) -> Profile:
    return next(r for r in plan.resources if isinstance(r, Profile))


def test_the_server_takes_what_a_vm_is_defined_by(incus: IncusHost, plan: Plan) -> None:
    vm, profile = plan.instances[0], _profile(plan)
    write_seed(incus, incus.read(), vm, "run1")
    both = {**dict(profile.config), **dict(vm.incus.config)}
    devices = {**dict(profile.devices), **dict(vm.incus.devices)}

    incus.profiles.put(profile.name, settings(both), tuple(sorted(devices.items())), exists=False)

    wrong = {**devices, "pci-card": settings({"type": "pci", "address": "nowhere"})}
    with pytest.raises(PlexError, match="address"):
        incus.profiles.put(profile.name, settings(both), tuple(sorted(wrong.items())), exists=True)


def test_a_vm_is_made_where_the_server_runs_vms(
    incus: IncusHost, plan: Plan, tmp_path: Path
) -> None:
    vm, profile = plan.instances[0], _profile(plan)
    without_card = tuple((name, one) for name, one in vm.incus.devices if name != "pci-card")
    write_seed(incus, incus.read(), vm, "run1")
    incus.profiles.put(profile.name, profile.config, profile.devices, exists=False)
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(_empty_qcow2())
    work = tmp_path / "work"
    work.mkdir()
    image = incus.images.upload(packed(disk, NAME, {"os": NAME}, work))
    try:
        types = {one["fingerprint"]: one["type"] for one in incus.connection.objects("images")}
        assert types[image] == "virtual-machine"
        _create(
            incus, replace(vm, spec=replace(vm.incus, devices=without_card)), image, profile.name
        )
    except PlexError as error:
        if "not supported on this server" not in error.summary:
            raise
        pytest.skip(f"this server runs no VMs: {error.summary}")
    finally:
        _sweep(incus)
        incus.delete_image(image)


def _empty_qcow2() -> bytes:
    """A disk of 1 GiB with nothing on it: header, table of references, a block of them, L1."""
    size, cluster = 1 << 30, 1 << 16
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, 2, 3 * cluster, cluster, 1, 0, 0
    )
    table = struct.pack(">Q", 2 * cluster)
    references = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, table, references, b""))


def _create(incus: IncusHost, vm: Instance, image: str, profile: str) -> None:
    incus.instances.create(
        vm.name,
        image=image,
        form=vm.form,
        profiles=(profile,),
        config=vm.incus.config,
        devices=vm.incus.devices,
    )


def test_a_seed_is_a_tagged_disc_that_is_replaced_and_removed(incus: IncusHost, plan: Plan) -> None:
    vm = plan.instances[0]
    name = f"{vm.name}-seed"

    write_seed(incus, incus.read(), vm, "run1")
    first = incus.read().volumes[name]
    write_seed(incus, incus.read(), vm, "run2")
    second = incus.read().volumes[name]

    owner = {"lab": vm.owner.lab, "plex": NAME, "seed": vm.name}
    assert first == ObservedVolume(name, {**owner, "run": "run1"}, disc=True)
    assert second == ObservedVolume(name, {**owner, "run": "run2"}, disc=True)
    # A destroy, which keeps volumes, takes it away.
    changes = diff((), {"local": incus.read()}, DiffOptions(vm.owner))
    assert name in [change.name for change in changes]
    incus.delete_volume(name)
    assert name not in incus.read().volumes


def test_a_seed_that_a_crash_left_untagged_is_found(incus: IncusHost, plan: Plan) -> None:
    vm = plan.instances[0]
    incus.volumes.create_disc(f"{vm.name}-seed", HOST.pool, vm.boot, ())

    state = {"local": incus.read()}
    assert [c.name for c in diff((), state, DiffOptions(vm.owner))] == [f"{vm.name}-seed"]
    write_seed(incus, incus.read(), vm, "run1")
    assert incus.read().volumes[f"{vm.name}-seed"].tags["run"] == "run1"
