"""The client of each kind of host. Of the clients, only this module asks for the kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.model.host import Host
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret

if TYPE_CHECKING:
    from plexctl.clients.proxmox.host import ProxmoxHost


def host_client(
    spec: HostSpec, credentials: Credentials | None, token: Callable[[], Secret]
) -> Host:
    """A client that connects when it is first used.

    `credentials` are the lab's for servers over HTTPS; `token` reads the secret of the host's API
    token, which only Proxmox hosts have.
    """
    match spec.kind:
        case HostKind.INCUS:
            return IncusHost(spec, credentials)
        case HostKind.PROXMOX:
            # Eight modules that most labs do not need.
            from plexctl.clients.proxmox.host import ProxmoxHost

            return ProxmoxHost(spec, token)


def incus_hosts(hosts: Mapping[str, Host]) -> dict[str, IncusHost]:
    """The Incus servers among `hosts`, by name."""
    return {name: host for name, host in hosts.items() if isinstance(host, IncusHost)}


def proxmox_hosts(hosts: Mapping[str, Host]) -> dict[str, ProxmoxHost]:
    """The Proxmox nodes among `hosts`, by name."""
    from plexctl.clients.proxmox.host import ProxmoxHost  # as in `host_client`

    return {name: host for name, host in hosts.items() if isinstance(host, ProxmoxHost)}
