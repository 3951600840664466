"""The engine `direct` on a Proxmox host: VMs are created, found again, replaced, deleted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pycdlib
import pytest

from plexctl.errors import PlexError
from plexctl.model.resources import Key, Kind
from plexctl.model.types import Form
from plexctl.plan.resources.specs import CloudInit, ProxmoxSpec
from plexctl.plan.resources.types import Instance, Owner
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from tests.fake_pve import FakePve
from tests.null_reporter import NullReporter
from tests.proxmox import TEMPLATE, client_of, with_template

OWNER = Owner("lab1", "demo")


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.01, clone_seconds=0.05, agent_seconds=0.1) as fake:
        yield fake


def vm(
    number: int, *, vlan: int | None = None, disk: int | None = None, pci: tuple[str, ...] = ()
) -> Instance:
    spec = ProxmoxSpec(
        f"10:66:6a:00:00:0{number}",
        "vmbr0",
        memory=2048,
        cores=2,
        disk=disk,
        vlan=vlan,
        pci=pci,
        cloud_init=CloudInit("#cloud-config\n", "version: 2\n", "instance-id: x\n"),
    )
    boot, parent = b"keys of the node", None if number == 1 else key(1)
    return Instance(f"demo{number}", "pve1", OWNER, Form.VM, TEMPLATE, spec, boot, parent=parent)


def key(number: int) -> Key:
    return Key(Kind.INSTANCE, "pve1", f"demo{number}")


WANTED = (vm(1), vm(2), vm(3))


class Run:
    """A run of an engine, as verbs do it."""

    def __init__(self, pve: FakePve) -> None:
        self.server = client_of(pve)
        self.engine = DirectEngine({"pve1": self.server})

    def changes(
        self, wanted: tuple[Instance, ...] = WANTED, replace: frozenset[Key] = frozenset()
    ) -> tuple[Change, ...]:
        return self.engine.diff(wanted, self.engine.read(["pve1"]), DiffOptions(OWNER, replace))

    def __call__(
        self,
        wanted: tuple[Instance, ...] = WANTED,
        run: str = "run1",
        replace: frozenset[Key] = frozenset(),
    ) -> list[tuple[Action, str]]:
        changes = self.changes(wanted, replace)
        states = self.engine.read(["pve1"])
        self.engine.apply(ApplyJob(wanted, changes, states, run, NullReporter()))
        return [(change.action, change.name) for change in changes]


@pytest.fixture
def run(pve: FakePve) -> Run:
    run = Run(pve)
    with_template(run.server)
    return run


def nodes(pve: FakePve) -> dict[str, Any]:
    return {guest.name: guest for guest in pve.vms.values() if not guest.template}


def test_vms_are_created_and_a_second_run_changes_nothing(pve: FakePve, run: Run) -> None:
    made = run((vm(1, vlan=7, disk=5120), vm(2), vm(3)))
    config = nodes(pve)["demo1"].config

    assert made == [(Action.CREATE, f"demo{n}") for n in (1, 2, 3)]
    assert run.changes((vm(1, vlan=7, disk=5120), vm(2), vm(3))) == ()
    assert all(guest.running for guest in nodes(pve).values())
    assert config["net0"] == "virtio=10:66:6A:00:00:01,bridge=vmbr0,tag=7"
    assert (int(config["cores"]), str(config["memory"])) == (2, "2048")
    assert "size=5G" in config["scsi0"]
    assert nodes(pve)["demo1"].tags == ["plex-demo", "plexctl"]
    assert "keys" not in str([guest.config for guest in nodes(pve).values()])


def test_a_vm_has_a_seed_with_its_files(pve: FakePve, run: Run) -> None:
    run()
    volume = nodes(pve)["demo2"].config["ide2"].partition(",")[0]
    iso, boot = pycdlib.PyCdlib(), io.BytesIO()
    iso.open_fp(io.BytesIO(pve.storages["local"].volumes[volume].data))
    iso.get_file_from_iso_fp(boot, rr_path="/boot.tar")

    assert volume == "local:iso/plex-seed-lab1-demo2.iso"
    assert boot.getvalue() == b"keys of the node"


def test_pci_devices_need_the_machine_type_with_pci_express(pve: FakePve, run: Run) -> None:
    pve.add_mapping("gpu", ["node=pve1,path=0000:01:00.0,id=10de:2204"])
    run((vm(1, pci=("gpu",)),))
    config = nodes(pve)["demo1"].config

    assert config["hostpci0"] == "mapping=gpu,pcie=1"
    assert config["machine"] == "q35"
    assert nodes(pve)["demo1"].running


def test_a_vm_whose_creation_was_interrupted_is_replaced(pve: FakePve, run: Run) -> None:
    pve.fail_next("POST", r"/storage/local/upload$", 500, "interrupted", count=1)
    with pytest.raises(PlexError, match="interrupted"):
        run((vm(1),))
    half = nodes(pve)["demo1"].vmid

    assert run((vm(1),)) == [(Action.REPLACE, "demo1")]
    assert nodes(pve)["demo1"].vmid != half
    assert run.changes((vm(1),)) == ()


def test_a_stopped_vm_is_started(pve: FakePve, run: Run) -> None:
    run()
    before = nodes(pve)["demo2"].vmid
    run.server.stop("demo2")

    assert run() == [(Action.START, "demo2")]
    assert nodes(pve)["demo2"].vmid == before


def test_a_new_master_replaces_its_workers_and_a_new_worker_nothing_else(
    pve: FakePve, run: Run
) -> None:
    run()
    before = {name: guest.vmid for name, guest in nodes(pve).items()}

    assert run(run="run2", replace=frozenset({key(3)})) == [(Action.REPLACE, "demo3")]
    after = {name: guest.vmid for name, guest in nodes(pve).items()}
    assert {name for name in before if before[name] != after[name]} == {"demo3"}
    assert len(run(run="run3", replace=frozenset({key(1)}))) == 3
    assert run.changes() == ()


def test_an_unwanted_vm_is_deleted_with_its_disks(pve: FakePve, run: Run) -> None:
    run()

    assert run((vm(1),)) == [(Action.DELETE, "demo2"), (Action.DELETE, "demo3")]
    assert set(nodes(pve)) == {"demo1"}
    assert run(()) == [(Action.DELETE, "demo1")]
    assert list(pve.storages["local"].volumes) == []
    assert all("base-" in volume for volume in pve.storages["local-lvm"].volumes)


def test_a_vm_that_plexctl_did_not_create_is_an_error(pve: FakePve, run: Run) -> None:
    run.server.vms.create("demo2", {}, {"memory": 512})
    pve.vms[max(pve.vms)].config.pop("description")
    with pytest.raises(PlexError) as error:
        run()

    assert error.value.details == ("instance demo2 on host pve1 was not created by plexctl",)


def test_a_missing_template_is_an_error(run: Run) -> None:
    with pytest.raises(PlexError) as error:
        run((replace(vm(1), image="plex-kube-other"),))

    assert error.value.summary == "host pve1 has no template plex-kube-other"
