"""Nodes of Proxmox VE clusters made hosts of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.config.edit_hosts import host_fields, set_host
from plexctl.model.hosts import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.results.hosts import HostResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.host.tokens import read_host_token, store_host_token
from plexctl.workflow.host.verbs import check_twin, check_words, full_url, hosts_file

POOL = "local-lvm"
"""The storage for disks that Proxmox makes when it is installed."""

ISO = "local"
"""Its storage for files, as seeds are."""


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
    """Make a node of a Proxmox cluster a host of the lab, or say so of one anew.

    The server is asked with the API token before anything is written: PlexError if that does not
    work, or if it has no such node or storage. `secret` of None: the one that is stored already.
    The secret is kept encrypted for the lab, and never in hosts.yaml. `node`, `pool` and `iso` of
    None: as hosts.yaml says already, else the name, POOL and ISO.
    """
    check_words(name, bridge, token_id)
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
        url=full_url(url, HostKind.PROXMOX),
        certificate=certificate,
        bridge=bridge,
        ssh=ssh,
        pci=pci or {},
        proxmox=Proxmox(node, token_id, iso=iso),
    )
    check_twin(ctx, host)
    with start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run:
        token = secret or read_host_token(ctx.lab, ctx.seed, host)
        with run.step(f"get to know {host.url}"):
            client = ProxmoxHost(host, token)
            host = replace(host, facts=client.facts())
            client.read()
            client.pool_free()
        stored = store_host_token(ctx.lab, ctx.seed, name, token)
        changed = set_host(hosts_file(ctx), name, host_fields(host))
    return HostResult(name, stored or changed, f"host {name} is at {host.url}")
