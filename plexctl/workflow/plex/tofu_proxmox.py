"""What the engine `tofu` needs for plexes on Proxmox hosts."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.errors import PlexError
from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.types import Form
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.proxmox.addresses import proxmox_of
from plexctl.provision.tofu.proxmox.provider import ClusterAccess, ProxmoxProvider
from plexctl.workflow.core.clients import pinned_certificate
from plexctl.workflow.core.context import Context
from plexctl.workflow.host.tokens import read_host_token

CERTIFICATE = "server.pem"


def on_proxmox(ctx: Context, plex: str) -> bool:
    """Whether a plex has a Proxmox host."""
    return any(ctx.lab.hosts[n].kind is HostKind.PROXMOX for n in ctx.lab.plexes[plex].hosts)


def proxmox_provider(ctx: Context, plex: str, folder: TofuFolder) -> ProxmoxProvider:
    """Of one plex; the server's certificate is kept in `folder`.

    PlexError if OpenTofu cannot make all of it by one root.
    """
    members = [ctx.lab.hosts[name] for name in ctx.lab.plexes[plex].hosts]
    _require_one_cluster(ctx, plex, members)
    assert isinstance(ctx.engine, DirectEngine)
    first = members[0]
    folder.open()
    certificate = folder.path / CERTIFICATE
    pinned_certificate(first, certificate)
    access = ClusterAccess(certificate, lambda: read_host_token(ctx.lab, ctx.seed, first))
    return ProxmoxProvider(plex, {host.name: host for host in members}, access, ctx.engine)


def _require_one_cluster(ctx: Context, plex: str, members: Sequence[HostSpec]) -> None:
    hint = f"`plexctl engine direct {plex}`"
    for host in members:
        if host.kind is not HostKind.PROXMOX:
            raise PlexError(
                f"OpenTofu makes no plex on hosts of two kinds, and {plex} is on {host.name} too",
                hint=hint,
            )
        if _api(host) != _api(members[0]):
            raise PlexError(
                f"OpenTofu asks one server, and {host.name} has another `url` or token than "
                f"{members[0].name}",
                hint=f"give both the same where they are of one cluster, or {hint}",
            )
    for node in nodes(ctx.lab.plexes[plex]):
        if node.type.base.form is not Form.VM:
            raise PlexError(
                f"OpenTofu makes VMs on Proxmox hosts, and {node.name} is a container", hint=hint
            )


def _api(host: HostSpec) -> tuple[str | None, str]:
    return host.url, proxmox_of(host).token
