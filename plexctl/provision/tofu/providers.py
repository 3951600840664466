"""The provider for the hosts of a plex: nothing else in `tofu` asks for the kind of a host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.folder import Folder
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.model.types import Form
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.incus.provider import IncusProvider
from plexctl.provision.tofu.provider import Provider
from plexctl.provision.tofu.proxmox.addresses import proxmox_of
from plexctl.provision.tofu.proxmox.provider import ClusterAccess, ProxmoxProvider

ROOTS: Mapping[HostKind, str] = {HostKind.INCUS: "incus", HostKind.PROXMOX: "proxmox"}
"""Folders below `terraform/` that are the root module, by kind of host."""

CLONING_ROOTS = (ROOTS[HostKind.PROXMOX],)
"""Root modules whose provider may be killed in the middle of a clone, without a sign of it."""

CERTIFICATE = "server.pem"


@dataclass(frozen=True, slots=True)
class TofuCredentials:
    """Sources of the providers' credentials. A source is only used for its kind of host."""

    certificates: Callable[[Iterable[HostSpec]], Path]  # folder with those of Incus servers
    server_certificate: Callable[[HostSpec, Folder, str], None]  # writes that of a Proxmox server
    token: Callable[[HostSpec], Secret]  # of a Proxmox server's API


def root_of(plex: Plex, hosts: Mapping[str, HostSpec]) -> str:
    """The root module for a plex."""
    kinds = {hosts[name].kind for name in plex.hosts}
    return ROOTS[HostKind.PROXMOX if HostKind.PROXMOX in kinds else HostKind.INCUS]


def provider_of(
    plex: Plex,
    hosts: Mapping[str, HostSpec],
    folder: TofuFolder,
    credentials: TofuCredentials,
    direct: DirectEngine,
) -> Provider:
    """The provider for a plex; `hosts` are all hosts of the lab.

    PlexError if one root module cannot create the whole plex.
    """
    if root_of(plex, hosts) == ROOTS[HostKind.PROXMOX]:
        return _proxmox(plex, hosts, folder, credentials, direct)
    servers = {name: host for name, host in hosts.items() if host.kind is HostKind.INCUS}
    remote = any(host.url for host in servers.values())
    certificates = credentials.certificates(servers.values()) if remote else None
    return IncusProvider(plex.name, servers, certificates, direct)


def _proxmox(
    plex: Plex,
    hosts: Mapping[str, HostSpec],
    folder: TofuFolder,
    credentials: TofuCredentials,
    direct: DirectEngine,
) -> ProxmoxProvider:
    members = [hosts[name] for name in plex.hosts]
    _require_one_cluster(plex, members)
    certificate = folder.path / CERTIFICATE
    credentials.server_certificate(members[0], folder.folder, CERTIFICATE)
    access = ClusterAccess(certificate, partial(credentials.token, members[0]))
    return ProxmoxProvider(plex.name, {host.name: host for host in members}, access, direct)


def _require_one_cluster(plex: Plex, members: Sequence[HostSpec]) -> None:
    hint = f"use the engine direct: `plexctl engine direct {plex.name}`"
    for host in members:
        if host.kind is not HostKind.PROXMOX:
            raise PlexError(
                f"the engine tofu needs hosts of one kind, and {plex.name} is also on {host.name}",
                hint=hint,
            )
        if _api(host) != _api(members[0]):
            raise PlexError(
                f"the engine tofu needs hosts of one cluster, and {host.name} has another `url` or "
                f"`token` than {members[0].name}",
                hint=f"give both hosts the same `url` and `token`, or {hint}",
            )
    for node in nodes(plex):
        if node.type.base.form is not Form.VM:
            raise PlexError(
                f"the engine tofu creates only VMs on Proxmox hosts; {node.name} is a container",
                hint=hint,
            )


def _api(host: HostSpec) -> tuple[str | None, str]:
    return host.url, proxmox_of(host).token
