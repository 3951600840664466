"""The resources of a plex, byte for byte."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.plex import Group, JsonText, Networks, Plex, Taint
from plexctl.model.types import Size
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Acl, Instance, Profile, resource_hash

GOLDEN = Path(__file__).parent / "golden"
PRIVATE = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----|"
    rb"(?<=client-key-data: )\S+|(?<=token: )\S+",
    re.DOTALL,
)


def describe(plan: Plan) -> str:
    """A whole plan as text, with digests instead of private keys."""
    parts = []
    for resource in plan.resources:
        needs = ", ".join(map(str, resource.needs))
        parts.append(f"##### {resource.key} needs {needs or 'nothing'}")
        if isinstance(resource, Acl):
            parts += [f"ingress: {dict(rule)}" for rule in resource.ingress]
            parts += [f"egress: {dict(rule)}" for rule in resource.egress]
            continue
        spec = resource.incus if isinstance(resource, Instance) else resource
        parts += [f"{key}: {value!r}" for key, value in spec.config]
        for name, device in getattr(spec, "devices", ()):
            parts.append(f"device {name}: {dict(device)}")
        if isinstance(resource, Instance):
            parts.append(f"image {resource.image}, profile {resource.incus.profile}")
            parts.append(f"parent {resource.parent}")
            parts += tar_as_text(resource.boot)
    return "\n".join(parts) + "\n"


def tar_as_text(content: bytes) -> list[str]:
    parts = []
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            target = f" -> {member.linkname}" if member.issym() else ""
            owner = f"{member.uname}:{member.gname}"
            parts.append(f"=== /{member.name}{target} {member.mode:04o} {owner}")
            file = tar.extractfile(member) if member.isfile() else None
            if file and member.name.endswith("genesis.json"):
                parts.append("compared in genesis/test_compose.py")
            elif file:
                parts.append(PRIVATE.sub(_digest, file.read()).decode())
    return parts


def _digest(match: re.Match[bytes]) -> bytes:
    return b"PRIVATE sha256:" + hashlib.sha256(match[0]).hexdigest().encode()


def test_the_demo_plex_is_that_of_the_golden_file(demo: Plex, inputs: Inputs) -> None:
    """A changed byte in the boot files of a node shows up in review.

    Update the golden file only on purpose: GOLDEN=write pytest tests/unit/plan
    """
    golden = GOLDEN / "demo.txt"
    text = describe(plan_plex(demo, inputs))
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)

    assert text == golden.read_text()


def test_the_same_inputs_give_the_same_bytes(demo: Plex, inputs: Inputs) -> None:
    assert plan_plex(demo, inputs) == plan_plex(demo, inputs)


def test_scaling_changes_no_node_that_exists(demo: Plex, inputs: Inputs) -> None:
    before = {r.key: resource_hash(r) for r in plan_plex(demo, inputs).resources}
    after = {r.key: resource_hash(r) for r in plan_plex(replace(demo, workers=9), inputs).resources}

    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 7


def test_a_new_epoch_replaces_every_node_and_every_key(demo: Plex, inputs: Inputs) -> None:
    old = plan_plex(demo, inputs).instances
    new = plan_plex(replace(demo, epoch=2), inputs).instances

    assert all(resource_hash(a) != resource_hash(b) for a, b in zip(old, new, strict=True))
    keys = [set(re.findall("sha256:[0-9a-f]{64}", "\n".join(tar_as_text(i.boot)))) for i in old]
    keys_after = [
        set(re.findall("sha256:[0-9a-f]{64}", "\n".join(tar_as_text(i.boot)))) for i in new
    ]
    client = "/root/.ssh"  # the lab's own key is no key of the plex
    assert client in "\n".join(tar_as_text(new[0].boot))
    assert not keys[0] & keys_after[0]


def test_another_image_replaces_the_node(demo: Plex, inputs: Inputs) -> None:
    baked = {("local", "kube"): "plex-kube-ffffffffffff"}
    old, new = plan_plex(demo, inputs), plan_plex(demo, replace(inputs, baked=baked))

    assert resource_hash(old.instances[1]) != resource_hash(new.instances[1])


def test_workers_follow_their_master(demo: Plex, inputs: Inputs) -> None:
    master, *workers = plan_plex(demo, inputs).instances

    assert master.parent is None
    assert {worker.parent for worker in workers} == {master.key}


def test_a_group_gives_its_nodes_sizes_labels_and_taints(demo: Plex, inputs: Inputs) -> None:
    group = Group(
        nodes=frozenset({3}),
        type=None,
        host=None,
        size=Size(cpu=2, memory=2 << 30, disk=20 << 30),
        labels=(("disk", "fast"),),
        taints=(Taint("gpu", "yes", "NoSchedule"),),
        kubelet=JsonText('{"maxPods": 40}'),
    )
    plan = plan_plex(replace(demo, groups=(group,)), inputs)
    third = plan.instances[2]
    files = "\n".join(tar_as_text(third.boot))

    assert dict(third.incus.config)["limits.cpu.allowance"] == "200ms/100ms"
    assert dict(third.incus.config)["limits.memory"] == str(2 << 30)
    assert dict(dict(third.incus.devices)["root"])["size"] == str(20 << 30)
    assert '"--node-labels=disk=fast --register-with-taints=gpu=yes:NoSchedule"' in files
    assert "maxPods: 40" in files
    assert "maxPods" not in "\n".join(tar_as_text(plan.instances[1].boot))


def test_no_key_of_the_cluster_is_on_a_worker(demo: Plex, inputs: Inputs) -> None:
    files = "\n".join(tar_as_text(plan_plex(demo, inputs).instances[1].boot))

    for name in ("ca.key", "sa.key", "admin.conf", "kubeadm.yaml", "/manifests/"):
        assert name not in files


def test_only_root_can_read_secrets(demo: Plex, inputs: Inputs) -> None:
    for instance in plan_plex(demo, inputs).instances:
        with tarfile.open(fileobj=io.BytesIO(instance.boot)) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file and PRIVATE.search(file.read()):
                    assert member.mode == 0o600, member.name


def test_the_text_of_a_plan_has_no_secret(demo: Plex, inputs: Inputs) -> None:
    text = repr(plan_plex(demo, inputs))

    assert "PRIVATE" not in text
    assert "boot=" not in text


@pytest.mark.parametrize(("version", "expected"), [(1, "cgroup"), (2, "cgroup2")])
def test_the_control_groups_of_the_host_decide(
    demo: Plex, inputs: Inputs, version: int, expected: str
) -> None:
    facts = {"local": HostFacts(version, sys_resource=True, cpus=4, memory=8 << 30)}
    plan = plan_plex(demo, replace(inputs, facts=facts))
    profile = next(r for r in plan.resources if isinstance(r, Profile))

    assert f"lxc.{expected}.devices.allow=a" in dict(profile.config)["raw.lxc"]


def test_every_node_has_a_route_to_every_other_but_not_to_itself(
    demo: Plex, inputs: Inputs
) -> None:
    small = Networks(IPv4Network("10.9.0.0/28"), IPv4Network("10.8.0.0/21"), demo.networks.services)
    plan = plan_plex(replace(demo, networks=small), inputs)
    second = "\n".join(tar_as_text(plan.instances[1].boot))

    routes = re.findall(r"route replace (\S+) via (\S+)", second)
    assert ("10.8.1.0/24", "10.9.0.11") in routes
    assert ("10.8.3.0/24", "10.9.0.13") in routes
    assert "10.8.2.0/24" not in dict(routes)
    assert ("default", "10.9.0.1") in routes


def test_what_a_new_cluster_starts_with_does_not_replace_a_running_master(
    demo: Plex, inputs: Inputs
) -> None:
    plexes = (demo, replace(demo, workers=5), replace(demo, genesis=False))
    masters = [plan_plex(plex, inputs).instances[0] for plex in plexes]
    unrecorded = plan_plex(demo, replace(inputs, recording=None)).instances[0]

    more = Addition({"/registry/secrets/shop/web": {"kind": "Secret"}}, {})
    masters.append(plan_plex(demo, replace(inputs, additions=(more,))).instances[0])

    assert len({master.boot for master in masters}) == 4
    assert unrecorded.boot == masters[2].boot  # with `genesis: false`
    masters.append(unrecorded)
    assert len({resource_hash(master) for master in masters}) == 1


def test_opentofu_writes_the_same_files_for_any_number_of_workers(
    demo: Plex, inputs: Inputs
) -> None:
    tofu = replace(demo, engine=ProvisionEngine.TOFU)
    masters = [plan_plex(plex, inputs).instances[0] for plex in (tofu, replace(tofu, workers=5))]

    assert masters[0].boot == masters[1].boot
