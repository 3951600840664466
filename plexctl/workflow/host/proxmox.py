"""Nodes of Proxmox VE clusters as hosts of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.config.edit_hosts import host_fields, set_host
from plexctl.errors import UsageError
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.results.hosts import HostResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.host.declaration import check_unique, check_values, full_url, hosts_file
from plexctl.workflow.host.request import HostRequest, PreparedHost, login
from plexctl.workflow.host.tokens import read_host_token, store_host_token

PORT = 8006

POOL = "local-lvm"
"""The storage for disks that the installer of Proxmox VE creates."""

ISO = "local"
"""Its storage for files, such as seeds."""


class ProxmoxOnboarding:
    """See `Onboarding`."""

    port = PORT

    def client_name(self, short_id: str) -> str:
        return f"lab-{short_id}"

    def check(self, request: HostRequest) -> None:
        if request.bridge:
            raise UsageError(
                "plexctl creates no bridge on a Proxmox host",
                hint="create it there (Node > System > Network); then name it as `bridge` in "
                "clusters/hosts.yaml",
            )

    def changes(self, request: HostRequest) -> list[str]:
        user = f"user {request.proxmox.user} with role {request.proxmox.role}"
        return [user, "storages", *(["PCI mappings"] if request.pci else ())]

    def trusts(self, ctx: Context, request: HostRequest) -> bool:
        return False  # the role itself leaves a token that is there

    def joins(self, request: HostRequest) -> bool:
        return request.client is not None

    def join(
        self, ctx: Context, request: HostRequest, prepared: PreparedHost, node: str | None
    ) -> HostResult:
        url, certificate = prepared.api()
        assert prepared.token_id is not None, request.name
        return add_proxmox(
            ctx,
            request.name,
            url,
            token_id=prepared.token_id,
            secret=prepared.token,
            certificate=certificate,
            node=node,
            pool=request.proxmox.disks or request.proxmox.storage,
            iso=request.proxmox.storage,
            ssh=login(request.reach),
            pci={device: device for device in request.pci},  # a mapping has the name itself
        )


def add_proxmox(
    ctx: Context,
    name: str,
    url: str,
    *,
    token_id: str,
    secret: Secret | None,
    certificate: str,
    node: str | None = None,
    pool: str | None = None,
    iso: str | None = None,
    bridge: str | None = None,
    ssh: str | None = None,
    pci: Mapping[str, str] | None = None,
) -> HostResult:
    """Add a node of a Proxmox cluster to the lab's hosts, or update its entry.

    The API token is tried before anything is written: PlexError if the server refuses it, or if it
    has no such node or storage. `secret` of None: the one that is stored. The secret is stored
    encrypted for the lab, and never in hosts.yaml. `node`, `pool` and `iso` of None: as hosts.yaml
    says, else the name, POOL and ISO.
    """
    check_values(name, bridge, token_id)
    there = ctx.lab.hosts.get(name)
    known = there.proxmox if there else None
    node = node or (known.node if known else name)
    iso = iso or (known.iso if known else ISO)
    host = HostSpec(
        name,
        HostKind.PROXMOX,
        "",
        pool or (there.pool if there else POOL),
        4,
        url=full_url(url, PORT),
        certificate=certificate,
        bridge=bridge,
        ssh=ssh,
        pci=pci or {},
        proxmox=Proxmox(node, token_id, iso=iso),
    )
    check_unique(ctx, host)
    with start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run:
        token = secret or read_host_token(ctx.lab, ctx.seed, host)
        with run.step(f"connect to {host.url}"):
            client = ProxmoxHost(host, token)
            host = replace(host, facts=client.facts())
            client.read()
            client.pool_free()
        stored = store_host_token(ctx.lab, ctx.seed, name, token)
        changed = set_host(ctx.lab.root, hosts_file(ctx), name, host_fields(host))
    return HostResult(name, stored or changed, f"host {name} is at {host.url}")
