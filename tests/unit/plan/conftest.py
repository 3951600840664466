"""The plex that the tests of planning share: demo, one master and two workers."""

from __future__ import annotations

import pytest

from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.model.types import NodeType
from plexctl.plan.genesis.recording import Recording, committed
from plexctl.plan.inputs import Inputs
from tests.unit.plan.demo import FACTS, VERSION, demo_plex, kube_type


@pytest.fixture
def kube() -> NodeType:
    return kube_type()


@pytest.fixture
def demo() -> Plex:
    return demo_plex()


@pytest.fixture
def facts() -> HostFacts:
    return FACTS


@pytest.fixture
def images() -> dict[str, str]:
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    references = {name: f"registry.k8s.io/{name}:v{VERSION}" for name in programs}
    return {**references, "etcd": "registry.k8s.io/etcd:3.6.8-0"}


@pytest.fixture
def recording() -> Recording:
    found = committed(VERSION)
    assert found is not None
    return found


@pytest.fixture
def inputs(facts: HostFacts, images: dict[str, str], recording: Recording) -> Inputs:
    host = HostSpec("local", HostKind.INCUS, "/var/lib/incus/unix.socket", "default", 4)
    return Inputs(
        RootSeed(Secret(b"a seed for tests, of 32 bytes...")),
        {"local": host},
        {"local": facts},
        images,
        {("local", "kube"): "plex-kube-0123456789ab"},
        recording=recording,
    )
