"""The variables of OpenTofu's modules: a golden file, and the tags that a run may not change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import HostState
from plexctl.model.resources import Key
from plexctl.model.types import Form
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import ACLS, Instance, Resource, Volume
from plexctl.provision.change import Action, Change
from plexctl.provision.engine import ApplyJob
from plexctl.provision.seeds import has_seed
from plexctl.provision.tofu.incus.addresses import addresses, import_blocks, replace_triggers
from plexctl.provision.tofu.incus.tfvars import boot_file, incus_tfvars
from plexctl.provision.tofu.tags import tags_by_key
from tests.null_reporter import NullReporter

from .test_diff import ACL, NETWORK, PROFILE, STORE, WANTED, instance, whole

GOLDEN = Path(__file__).parent / "golden" / "terraform.tfvars.json"
BOOT = Path("/lab/boot")
HOSTS = {
    "far": HostSpec("far", HostKind.INCUS, "", "default", 4, url="https://10.0.0.7:8443"),
    "local": HostSpec("local", HostKind.INCUS, "/run/incus.socket", "default", 4),
}
EMPTY = {name: HostState(name, {}, {}, {}, ()) for name in HOSTS}
FAR_NETWORK = replace(NETWORK, host="far")
FAR_PROFILE = replace(
    PROFILE,
    host="far",
    needs=(FAR_NETWORK.key,),
    config=(("security.privileged", "true"),),
    devices=(("eth0", (("network", "plex-demo"), ("type", "nic"))),),
)
FAR_ACL = replace(ACL, host="far")
FAR_NETWORK_ISOLATED = replace(FAR_NETWORK, config=(*FAR_NETWORK.config, (ACLS, FAR_ACL.name)))
SPREAD: tuple[Resource, ...] = (
    NETWORK,
    FAR_ACL,
    FAR_NETWORK_ISOLATED,
    PROFILE,
    FAR_PROFILE,
    instance(1),
    instance(2),
    replace(instance(3), host="far", needs=(FAR_PROFILE.key,)),
)


def vm(number: int, boot: bytes = b"seed") -> Instance:
    disk = (("pool", "fast"), ("source", f"demo{number}-seed"), ("type", "disk"))
    spec = IncusSpec("plex-demo-kube", (), (("seed", disk),))
    return replace(instance(number), form=Form.VM, boot=boot, spec=spec)


def created(resource: Resource, action: Action = Action.CREATE) -> Change:
    return Change(action, resource.key, "", resource)


def tags(
    resources: tuple[Resource, ...], changes: tuple[Change, ...], states: dict[str, HostState]
) -> dict[Key, dict[str, str]]:
    return tags_by_key(ApplyJob(resources, changes, states, "run9", NullReporter()))


def test_a_plex_on_two_hosts(request: pytest.FixtureRequest) -> None:
    given = tags(SPREAD, tuple(created(one) for one in SPREAD), EMPTY)
    variables = incus_tfvars(
        "demo", SPREAD, HOSTS, given, boot=BOOT, config_dir=Path("/lab/.plexctl/hosts")
    )

    assert variables == json.loads(GOLDEN.read_text())


def test_an_unchanged_object_keeps_its_tags() -> None:
    """Otherwise OpenTofu would change every object in every run."""
    given = tags(WANTED, (), whole())

    assert {one["run"] for one in given.values()} == {"run1"}
    assert given[instance(2).key]["parent"] == "run1"


def test_a_replaced_node_has_the_tags_of_the_run() -> None:
    again = created(instance(2), Action.REPLACE)
    given = tags(WANTED, (replace(again, parent_run="run1"),), whole())

    assert given[instance(2).key]["run"] == "run9"
    assert given[instance(2).key]["parent"] == "run1"
    assert given[instance(3).key]["run"] == "run1"


def test_a_started_node_keeps_its_tags() -> None:
    given = tags(WANTED, (created(instance(2), Action.START),), whole())

    assert given[instance(2).key]["run"] == "run1"


def test_a_vm_has_a_volume_with_its_files() -> None:
    given = tags((vm(1),), (created(vm(1)),), EMPTY)
    variables = incus_tfvars("demo", (vm(1),), HOSTS, given, boot=BOOT, config_dir=None)

    source = variables["volumes"]["local/demo1-seed"]["source"]
    assert source == str(boot_file(vm(1), BOOT))
    assert source.endswith(".iso")
    assert variables["volumes"]["local/demo1-seed"]["content_type"] == "iso"
    assert variables["volumes"]["local/demo1-seed"]["pool"] == "fast"
    assert variables["instances"]["demo1"]["form"] == "virtual-machine"
    assert variables["instances"]["demo1"]["boot"] is None
    assert boot_file(vm(1, b"other"), BOOT) != boot_file(vm(1), BOOT)


def test_addresses_are_those_of_the_module() -> None:
    assert addresses((vm(2),)) == {
        'module.incus.module.worker.incus_instance.node["demo2"]',
        'module.incus.incus_storage_volume.seed["local/demo2-seed"]',
        'module.incus.terraform_data.content["local/demo2-seed"]',
        'module.incus.module.master.terraform_data.generation["demo2"]',
        'module.incus.module.worker.terraform_data.generation["demo2"]',
    }
    assert replace_triggers(instance(1)) == (
        'module.incus.module.master.terraform_data.generation["demo1"]',
    )
    assert not has_seed(instance(1))


def test_only_objects_that_are_not_in_the_state_are_imported() -> None:
    state = HostState("local", {}, {}, {}, (), {"demo1-seed": None})  # type: ignore[dict-item]
    known = frozenset({'module.incus.module.master.incus_instance.node["demo1"]'})

    assert [one["id"] for one in import_blocks(instance(1), frozenset(), state)] == [
        "local:demo1,image=plex-kube-0123456789ab"
    ]
    assert list(import_blocks(instance(1), known, state)) == []
    assert list(import_blocks(vm(1), known, state)) == [
        {
            "to": 'module.incus.incus_storage_volume.seed["local/demo1-seed"]',
            "id": "local:/fast/demo1-seed",
        }
    ]
    (volume,) = (one for one in STORE if isinstance(one, Volume))
    assert [one["id"] for one in import_blocks(volume, known, state)] == [
        f"local:/{volume.pool}/{volume.name}"
    ]
