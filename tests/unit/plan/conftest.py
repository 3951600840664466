"""The plex that the tests of planning share: demo, one master and two workers."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.plex import JsonText, Networks, Plex
from plexctl.model.secret import Secret
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size
from plexctl.plan.inputs import Inputs

VERSION = "1.36.3"


@pytest.fixture
def kube() -> NodeType:
    base = Base(
        "debian12", "bookworm", Form.CONTAINER, BaseSource.DEBOOTSTRAP, (), None, None, None
    )
    layers = (Layer("runtime", ("containerd",)), Layer("kube", ("kubernetes",)))
    return NodeType("kube", "kubenode", base, layers, True, True, Size())


@pytest.fixture
def demo(kube: NodeType) -> Plex:
    networks = Networks(
        IPv4Network("10.64.3.0/24"), IPv4Network("10.131.0.0/16"), IPv4Network("10.96.48.0/20")
    )
    none = JsonText("{}")
    return Plex(
        name="demo",
        file=Path("clusters/demo/plex.yaml"),
        kubernetes=VERSION,
        host_order=("local",),
        type=kube,
        workers=2,
        networks=networks,
        domain="cluster.local",
        dns_replicas=1,
        epoch=1,
        groups=(),
        cluster=none,
        proxy=none,
    )


@pytest.fixture
def facts() -> HostFacts:
    return HostFacts(cgroup=1, sys_resource=False, cpus=2, memory=24 << 30)


@pytest.fixture
def images() -> dict[str, str]:
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    references = {name: f"registry.k8s.io/{name}:v{VERSION}" for name in programs}
    return {**references, "etcd": "registry.k8s.io/etcd:3.6.8-0"}


@pytest.fixture
def inputs(facts: HostFacts, images: dict[str, str]) -> Inputs:
    host = HostSpec("local", HostKind.INCUS, "/var/lib/incus/unix.socket", "default", 4)
    return Inputs(
        RootSeed(Secret(b"a seed for tests, of 32 bytes...")),
        {"local": host},
        {"local": facts},
        images,
        {("local", "kube"): "plex-kube-0123456789ab"},
    )
