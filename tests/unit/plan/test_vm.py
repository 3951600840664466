"""A plex of VMs on an Incus host."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest
import yaml

from plexctl.model.host_spec import HostSpec
from plexctl.model.plex import Plex
from plexctl.model.types import Base, BaseSource, Form, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Acl, Instance, Profile, resource_hash

from .test_plan import tar_as_text

GOLDEN = Path(__file__).parent / "golden" / "vm.txt"
SERVER = "https://images.example.test"
CLOUD = Base(
    "debian12-cloud",
    "bookworm",
    Form.VM,
    BaseSource.CLOUD,
    ("python3",),
    None,
    None,
    None,
    "https://images.example.test/debian-12.qcow2",
    "sha512:" + "0" * 128,
)


@pytest.fixture
def vms(demo: Plex) -> Plex:
    return replace(demo, type=replace(demo.type, base=CLOUD))


def disc(content: bytes) -> dict[str, bytes]:
    """Files of a seed by name."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(content))
    found = {}
    for name in ("user-data", "meta-data", "network-config", "boot.tar"):
        buffer = io.BytesIO()
        iso.get_file_from_iso_fp(buffer, joliet_path=f"/{name}")
        found[name] = buffer.getvalue()
    iso.close()
    return found


def describe(plan: Plan) -> str:
    """Differences to containers; the files in the tar are those of any node."""
    parts = []
    for resource in plan.resources:
        needs = ", ".join(map(str, resource.needs))
        parts.append(f"##### {resource.key} needs {needs or 'nothing'}")
        if isinstance(resource, Acl):
            continue  # as for containers
        spec = resource.incus if isinstance(resource, Instance) else resource
        parts += [f"{key}: {value!r}" for key, value in spec.config]
        for name, device in getattr(spec, "devices", ()):
            parts.append(f"device {name}: {dict(device)}")
        if isinstance(resource, Instance):
            parts.append(f"form {resource.form}, image {resource.image}")
            files = disc(resource.boot)
            for name in ("meta-data", "network-config", "user-data"):
                parts.append(f"=== {name}\n{files[name].decode().rstrip()}")
    return "\n".join(parts) + "\n"


def instances(plan: Plan) -> list[dict[str, str]]:
    return [dict(instance.incus.config) for instance in plan.instances]


def profile_of(plan: Plan) -> Profile:
    return next(r for r in plan.resources if isinstance(r, Profile))


def test_a_plex_of_vms_is_that_of_the_golden_file(vms: Plex, inputs: Inputs) -> None:
    """Update the golden file only on purpose: GOLDEN=write pytest tests/unit/plan"""
    text = describe(plan_plex(vms, inputs))
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(text)

    assert text == GOLDEN.read_text()


def test_a_vm_boots_from_the_same_files_as_a_container(
    demo: Plex, vms: Plex, inputs: Inputs
) -> None:
    own_kernel = {"local": replace(inputs.facts["local"], cgroup=2, sys_resource=True)}
    container = plan_plex(demo, replace(inputs, facts=own_kernel)).instances[1]
    vm = plan_plex(vms, inputs).instances[1]

    assert tar_as_text(disc(vm.boot)["boot.tar"]) == tar_as_text(container.boot)


def test_a_vm_has_no_setting_of_containers(vms: Plex, inputs: Inputs) -> None:
    plan = plan_plex(vms, inputs)

    for config in (dict(profile_of(plan).config), *instances(plan)):
        assert not {"raw.lxc", "security.privileged", "security.nesting"} & config.keys()
        assert "limits.cpu.allowance" not in config
    assert "kmsg" not in dict(profile_of(plan).devices)


def test_a_vm_has_higher_limits_than_the_defaults_of_incus(vms: Plex, inputs: Inputs) -> None:
    master = instances(plan_plex(vms, inputs))[0]
    assert (master["limits.cpu"], master["limits.memory"]) == ("2", str(2 << 30))

    sized = replace(vms, type=replace(vms.type, size=Size(cpu=6, memory=9 << 30, disk=50 << 30)))
    plan = plan_plex(sized, inputs)
    config, device = instances(plan)[0], dict(plan.instances[0].incus.devices)
    assert (config["limits.cpu"], config["limits.memory"]) == ("6", str(9 << 30))
    assert dict(device["root"])["size"] == str(50 << 30)


def test_only_a_cloud_image_needs_a_disk_with_the_agent(vms: Plex, inputs: Inputs) -> None:
    served = replace(CLOUD, source=BaseSource.IMAGES, server=SERVER, image="debian/12/cloud")
    from_server = replace(vms, type=replace(vms.type, base=served))

    assert "agent" in dict(profile_of(plan_plex(vms, inputs)).devices)
    assert "agent" not in dict(profile_of(plan_plex(from_server, inputs)).devices)


@pytest.mark.parametrize(
    ("form", "device"),
    [
        (Form.VM, {"type": "pci", "address": "0000:01:00.0"}),
        (Form.CONTAINER, {"type": "gpu", "pci": "0000:01:00.0"}),
    ],
)
def test_a_node_has_the_devices_that_its_type_names(
    demo: Plex, inputs: Inputs, form: Form, device: dict[str, str]
) -> None:
    def plan(address: str) -> Plan:
        host: HostSpec = replace(
            inputs.hosts["local"], pci={"gpu": address, "other": "0000:02:00.0"}
        )
        base = CLOUD if form is Form.VM else demo.type.base
        wanted = replace(demo, type=replace(demo.type, base=base, pci=("gpu",)))
        return plan_plex(wanted, replace(inputs, hosts={"local": host}))

    first, moved = (plan(a).instances[1] for a in ("0000:01:00.0", "0000:03:00.0"))
    assert dict(dict(first.incus.devices)["pci-gpu"]) == device
    assert "pci-other" not in dict(first.incus.devices)
    assert resource_hash(first) != resource_hash(moved)


def test_the_settings_of_a_vm_have_no_key(vms: Plex, inputs: Inputs) -> None:
    for vm in plan_plex(vms, inputs).instances:
        assert not any("cloud-init" in key or "user-data" in key for key, _ in vm.incus.config)
        files = disc(vm.boot)
        assert b"PRIVATE" in files.pop("boot.tar")
        assert not any(b"PRIVATE" in content for content in files.values())
        assert "bootcmd" in yaml.safe_load(files["user-data"])
