"""The plex demo of the golden tests: one master and two workers."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import JsonText, Networks, Plex
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size

VERSION = "1.36.3"
FACTS = HostFacts(cgroup=1, sys_resource=False, cpus=2, memory=24 << 30)


def kube_type() -> NodeType:
    base = Base(
        "debian12", "bookworm", Form.CONTAINER, BaseSource.DEBOOTSTRAP, (), None, None, None
    )
    layers = (Layer("runtime", ("containerd",)), Layer("kube", ("kubernetes",)))
    return NodeType("kube", "kubenode", base, layers, True, True, Size())


def demo_plex(version: str = VERSION) -> Plex:
    networks = Networks(
        IPv4Network("10.64.3.0/24"), IPv4Network("10.131.0.0/16"), IPv4Network("10.96.48.0/20")
    )
    none = JsonText("{}")
    return Plex(
        name="demo",
        file=Path("clusters/demo/plex.yaml"),
        kubernetes=version,
        host_order=("local",),
        type=kube_type(),
        workers=2,
        networks=networks,
        domain="cluster.local",
        dns_replicas=1,
        epoch=1,
        groups=(),
        cluster=none,
        proxy=none,
    )
