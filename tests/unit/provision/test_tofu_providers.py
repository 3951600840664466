"""The choice of OpenTofu's provider for the hosts of a plex."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.folder import Folder
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.plex import Link, Plex
from plexctl.model.secret import Secret
from plexctl.model.types import Form, NodeType
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.incus.provider import IncusProvider
from plexctl.provision.tofu.provider import Provider
from plexctl.provision.tofu.providers import TofuCredentials, provider_of, root_of
from plexctl.provision.tofu.proxmox.provider import ProxmoxProvider
from tests.unit.plan.conftest import demo, kube

__all__ = ["demo", "kube"]  # fixtures

LOCAL = HostSpec("local", HostKind.INCUS, "/run/incus", "default", 4)
FAR = HostSpec("far", HostKind.INCUS, "", "default", 4, url="https://10.0.0.7:8443")
PVE1, PVE2 = (
    HostSpec(
        name,
        HostKind.PROXMOX,
        "",
        "local-lvm",
        4,
        url="https://10.0.0.8:8006",
        bridge="vmbr0",
        proxmox=Proxmox(name, "plexctl@pve!lab"),
    )
    for name in ("pve1", "pve2")
)


@dataclass
class Sources:
    """Sources of credentials that record what they are asked for."""

    asked: list[str] = field(default_factory=list)

    def certificates(self, servers: Iterable[HostSpec]) -> Path:
        self.asked += sorted(f"certificate of {host.name}" for host in servers)
        return Path("/certificates")

    def server_certificate(self, host: HostSpec, folder: Folder, name: str) -> None:
        self.asked.append(f"{name} of {host.name}")

    def token(self, host: HostSpec) -> Secret:
        self.asked.append(f"token of {host.name}")
        return Secret(b"secret")


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
def vms(demo: Plex, kube: NodeType) -> Plex:
    """Two nodes on pve1, one on pve2."""
    node_type = replace(kube, base=replace(kube.base, form=Form.VM))
    networks = replace(demo.networks, link=Link.BRIDGE, router=IPv4Address("10.64.3.1"))
    return replace(demo, type=node_type, networks=networks, host_order=("pve1", "pve2"))


def provider(plex: Plex, sources: Sources, folder: Path, *hosts: HostSpec) -> Provider:
    credentials = TofuCredentials(sources.certificates, sources.server_certificate, sources.token)
    found = {host.name: host for host in hosts}
    return provider_of(plex, found, TofuFolder(Folder(folder)), credentials, DirectEngine({}))


def test_a_local_plex_needs_no_credentials(demo: Plex, sources: Sources, tmp_path: Path) -> None:
    found = provider(demo, sources, tmp_path, LOCAL, PVE1)

    assert isinstance(found, IncusProvider)
    assert (set(found.hosts), found.config_dir) == ({"local"}, None)
    assert sources.asked == []


def test_incus_servers_over_https_need_certificates(
    demo: Plex, sources: Sources, tmp_path: Path
) -> None:
    found = provider(demo, sources, tmp_path, LOCAL, FAR)

    assert isinstance(found, IncusProvider)
    assert found.config_dir == Path("/certificates")
    assert sources.asked == ["certificate of far", "certificate of local"]


def test_a_proxmox_token_is_read_only_for_a_connection(
    vms: Plex, sources: Sources, tmp_path: Path
) -> None:
    found = provider(vms, sources, tmp_path, PVE1, PVE2)

    assert isinstance(found, ProxmoxProvider)
    assert root_of(vms, found.hosts) == "proxmox"
    assert sources.asked == ["server.pem of pve1"]
    assert found.access.secret().reveal() == b"secret"
    assert sources.asked[1:] == ["token of pve1"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (replace(FAR, name="pve2"), "hosts of one kind, and demo is also on pve2"),
        (replace(PVE2, url="https://10.0.0.9:8006"), "hosts of one cluster, and pve2 has another"),
    ],
)
def test_one_root_module_needs_one_cluster(
    vms: Plex, sources: Sources, tmp_path: Path, second: HostSpec, message: str
) -> None:
    with pytest.raises(PlexError, match=message) as error:
        provider(vms, sources, tmp_path, PVE1, second)

    assert "`plexctl engine direct demo`" in str(error.value.hint)


def test_containers_on_proxmox_are_an_error(
    vms: Plex, kube: NodeType, sources: Sources, tmp_path: Path
) -> None:
    with pytest.raises(PlexError, match="only VMs on Proxmox hosts; demo1 is a container"):
        provider(replace(vms, type=kube), sources, tmp_path, PVE1, PVE2)
