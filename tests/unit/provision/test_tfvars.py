"""What OpenTofu's modules are given: a golden file, and what a run may not touch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import HostState
from plexctl.model.types import Form
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.engine import Action, Change
from plexctl.provision.tofu.tfvars import (
    addresses,
    boot_file,
    has_seed,
    imports,
    tags_of,
    tfvars,
    triggers,
)

from .test_diff import NETWORK, PROFILE, STORE, WANTED, instance, whole

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
SPREAD: tuple[Resource, ...] = (
    NETWORK,
    FAR_NETWORK,
    PROFILE,
    FAR_PROFILE,
    instance(1),
    instance(2),
    replace(instance(3), host="far", needs=(FAR_PROFILE.key,)),
)


def vm(number: int, boot: bytes = b"seed") -> Instance:
    disk = (("pool", "fast"), ("source", f"demo{number}-seed"), ("type", "disk"))
    return replace(instance(number), form=Form.VM, boot=boot, devices=(("seed", disk),))


def created(resource: Resource, action: Action = Action.CREATE) -> Change:
    kind, host, name = resource.key.split("/")
    return Change(action, host, kind, name, "", resource)


def test_a_plex_on_two_hosts(request: pytest.FixtureRequest) -> None:
    given = tags_of(SPREAD, [created(one) for one in SPREAD], EMPTY, "run9")
    variables = tfvars(
        "demo", SPREAD, HOSTS, given, boot=BOOT, config_dir=Path("/lab/.plexctl/hosts")
    )

    assert variables == json.loads(GOLDEN.read_text())


def test_what_does_not_change_keeps_its_tags() -> None:
    """Else OpenTofu would change all of it in every run."""
    given = tags_of(WANTED, (), whole(), "run9")

    assert {tags["run"] for tags in given.values()} == {"run1"}
    assert given["instance/local/demo2"]["parent"] == "run1"


def test_what_is_made_gets_the_tags_of_the_run() -> None:
    again = created(instance(2), Action.REPLACE)
    given = tags_of(WANTED, [replace(again, parent_run="run1")], whole(), "run9")

    assert given["instance/local/demo2"]["run"] == "run9"
    assert given["instance/local/demo2"]["parent"] == "run1"
    assert given["instance/local/demo3"]["run"] == "run1"


def test_what_is_only_started_stays_what_it_is() -> None:
    given = tags_of(WANTED, [created(instance(2), Action.START)], whole(), "run9")

    assert given["instance/local/demo2"]["run"] == "run1"


def test_a_vm_finds_its_files_on_a_volume() -> None:
    given = tags_of((vm(1),), [created(vm(1))], EMPTY, "run9")
    variables = tfvars("demo", (vm(1),), HOSTS, given, boot=BOOT, config_dir=None)

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
        'module.incus.incus_instance.worker["demo2"]',
        'module.incus.incus_storage_volume.seed["local/demo2-seed"]',
        'module.incus.terraform_data.content["local/demo2-seed"]',
        'module.incus.terraform_data.generation["demo2"]',
        'module.incus.terraform_data.lineage["demo2"]',
    }
    assert triggers(instance(1)) == ('module.incus.terraform_data.generation["demo1"]',)
    assert not has_seed(instance(1))


def test_only_what_is_not_known_is_taken_over() -> None:
    state = HostState("local", {}, {}, {}, (), {"demo1-seed": None})  # type: ignore[dict-item]
    known = frozenset({'module.incus.incus_instance.master["demo1"]'})

    assert [one["id"] for one in imports(instance(1), frozenset(), state)] == [
        "local:demo1,image=plex-kube-0123456789ab"
    ]
    assert list(imports(instance(1), known, state)) == []
    assert list(imports(vm(1), known, state)) == [
        {
            "to": 'module.incus.incus_storage_volume.seed["local/demo1-seed"]',
            "id": "local:/fast/demo1-seed",
        }
    ]
    (volume,) = (one for one in STORE if one.key.startswith("volume/"))
    assert [one["id"] for one in imports(volume, known, state)] == [
        f"local:/{volume.pool}/{volume.name}"  # type: ignore[union-attr]
    ]
