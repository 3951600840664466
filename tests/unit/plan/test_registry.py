"""The resources of the lab's registry, and the files that make nodes use it."""

from __future__ import annotations

import io
import os
import re
import tarfile
import tomllib
from dataclasses import replace
from ipaddress import IPv4Network

import bcrypt
import pytest

from plexctl.keys.lab import LabKeys
from plexctl.model.plex import Group, Plex
from plexctl.model.registry import UPSTREAMS, Registry
from plexctl.model.types import Layer, NodeType, Size
from plexctl.plan.boot.files import BootFile
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.registry.mirrors import mirror_files
from plexctl.plan.registry.node import registry_files, registry_resources
from plexctl.plan.resources.types import Instance, Resource, Volume

from .test_plan import GOLDEN, describe, tar_as_text

HASH = re.compile(r"\$2b\$\S+")


@pytest.fixture
def registry() -> Registry:
    return Registry("depot", IPv4Network("10.64.63.0/24"), UPSTREAMS)


@pytest.fixture
def resources(registry: Registry, kube: NodeType, inputs: Inputs) -> tuple[Resource, ...]:
    layers = (Layer("registry", ("registry",)),)
    node_type = replace(kube, name="registry", layers=layers, kubernetes=False, privileged=False)
    return registry_resources(
        registry,
        node_type,
        inputs.seed,
        inputs.hosts["local"],
        inputs.facts["local"],
        "plex-registry-0123456789ab",
    )


def by_path(files: tuple[BootFile, ...]) -> dict[str, BootFile]:
    return {file.path: file for file in files}


def test_the_registry_is_that_of_the_golden_file(
    resources: tuple[Resource, ...], demo: Plex
) -> None:
    """Update the golden file with GOLDEN=write pytest tests/unit/plan"""
    golden = GOLDEN / "registry.txt"
    text = HASH.sub("HASH", describe(Plan(demo, (), resources)))
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)

    assert text == golden.read_text()


def test_its_volume_outlives_its_node(resources: tuple[Resource, ...]) -> None:
    volume = next(r for r in resources if isinstance(r, Volume))
    node = next(r for r in resources if isinstance(r, Instance))

    assert volume.key in node.needs
    assert dict(dict(node.incus.devices)["data"]) == {
        "type": "disk",
        "pool": "default",
        "source": volume.name,
        "path": "/var/lib/registry",
    }


def test_the_size_of_its_volume_may_be_limited(
    registry: Registry, kube: NodeType, inputs: Inputs
) -> None:
    node_type = replace(kube, name="registry", kubernetes=False, privileged=False)
    where = (inputs.hosts["local"], inputs.facts["local"], "plex-registry-0123456789ab")

    def volume(size: int | None) -> Volume:
        limited = replace(registry, size=size)
        planned = registry_resources(limited, node_type, inputs.seed, *where)
        return next(one for one in planned if isinstance(one, Volume))

    assert dict(volume(50 << 30).config) == {"size": str(50 << 30)}
    assert volume(None).config == ()


def test_the_hash_of_the_push_password_is_always_the_same(
    registry: Registry, inputs: Inputs
) -> None:
    file = by_path(registry_files(registry, inputs.seed))["/etc/plexctl/registry.htpasswd"]
    again = by_path(registry_files(registry, inputs.seed))["/etc/plexctl/registry.htpasswd"]
    user, _, digest = file.content.decode().strip().partition(":")
    password = LabKeys.derive(inputs.seed).push_password().reveal()

    assert file == again
    assert file.mode == 0o600
    assert user == "plexctl"
    assert bcrypt.checkpw(password, digest.encode())


def test_only_root_can_read_its_secrets_and_no_text_has_them(
    registry: Registry, inputs: Inputs, resources: tuple[Resource, ...]
) -> None:
    files = registry_files(registry, inputs.seed)
    password = LabKeys.derive(inputs.seed).push_password().reveal()

    assert by_path(files)["/etc/plexctl/registry.key"].mode == 0o600
    assert not [file for file in files if password in file.content]
    assert "PRIVATE" not in repr((files, resources))


def test_without_a_registry_no_node_has_a_file_for_it(demo: Plex, inputs: Inputs) -> None:
    assert "certs.d" not in describe(plan_plex(demo, inputs))


def test_nodes_pull_from_the_registry_and_then_from_the_upstream(
    demo: Plex, kube: NodeType, inputs: Inputs, registry: Registry
) -> None:
    adm = replace(kube, name="adm", kubernetes=False, privileged=False)
    plain = Group(frozenset({3}), adm, None, Size(), (), None, demo.cluster)
    baked = {**inputs.baked, ("local", "adm"): "plex-adm-0123456789ab"}
    options = replace(inputs, registry=registry, baked=baked)
    plan = plan_plex(replace(demo, groups=(plain,)), options)
    master, worker, third = ("\n".join(tar_as_text(i.boot)) for i in plan.instances)

    for files in (master, worker):
        assert "/etc/containerd/certs.d/docker.io/hosts.toml" in files
        assert "=== /etc/plexctl/lab-ca.crt 0644" in files
    assert "certs.d" not in third


def test_containerd_reads_the_addresses_of_mirrors(registry: Registry) -> None:
    files = by_path(mirror_files(registry, b"a certificate\n"))
    docker = tomllib.loads(files["/etc/containerd/certs.d/docker.io/hosts.toml"].content.decode())
    own = tomllib.loads(
        files["/etc/containerd/certs.d/10.64.63.2:5000/hosts.toml"].content.decode()
    )

    assert len(files) == len(UPSTREAMS) + 2
    assert docker == {
        "server": "https://registry-1.docker.io",
        "host": {
            "https://10.64.63.2:5000/v2/docker.io": {
                "capabilities": ["pull", "resolve"],
                "ca": "/etc/plexctl/lab-ca.crt",
                "override_path": True,
                "dial_timeout": "1s",
            }
        },
    }
    assert own == {
        "server": "https://10.64.63.2:5000",
        "capabilities": ["pull", "resolve"],
        "ca": "/etc/plexctl/lab-ca.crt",
    }


def test_the_tar_of_its_node_unpacks(resources: tuple[Resource, ...]) -> None:
    node = next(r for r in resources if isinstance(r, Instance))
    with tarfile.open(fileobj=io.BytesIO(node.boot)) as tar:
        names = set(tar.getnames())

    assert {"etc/hostname", "etc/plexctl/network.batch", "etc/plexctl/registry.json"} <= names
