"""The network of the lab's registry, compared with those of its hosts before it is created."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from plexctl.clients.hosts import incus_hosts
from plexctl.clients.routes import local_routes
from plexctl.config.networks import each, free_networks
from plexctl.errors import UsageError
from plexctl.model.observed import HostState
from plexctl.model.registry import Registry
from plexctl.plan.network.links import network_name
from plexctl.provision.overlaps import has_bridge, overlaps, used_networks
from plexctl.workflow.core.context import Context

FIELD = "registry.network"


def require_free_registry_network(
    ctx: Context, registry: Registry, states: Mapping[str, HostState]
) -> None:
    """UsageError if the network of the registry overlaps with another one of its hosts.

    Hosts that have its bridge already are left out, as in `require_free_networks`.
    """
    lines: list[str] = []
    used = [net for plex in ctx.lab.plexes.values() for net in each(plex.networks).values()]
    bridge = network_name(registry.name)
    for name in incus_hosts(ctx.hosts):
        state = states[name]
        if state.unreachable or has_bridge(bridge, registry.network, state):
            continue
        routes = local_routes() if ctx.lab.hosts[name].local else ()
        lines += overlaps({FIELD: registry.network}, bridge, state, routes)
        used += used_networks(state, routes)
    if lines:
        raise UsageError(
            f"refusing to create the network of the registry {registry.name}: "
            "it overlaps with others",
            details=dict.fromkeys(lines),
            hint=_free(used),
        )


def _free(used: list[IPv4Network]) -> str:
    file = "clusters/hosts.yaml"
    try:
        free = free_networks(used).nodes
    except UsageError as error:
        return f"{error.summary}; change `{FIELD}` in {file}"
    return f"this one is free: write `network: {free}` below `registry` in {file}"
