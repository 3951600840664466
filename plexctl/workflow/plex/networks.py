"""The networks of a plex, compared with those of its hosts before anything is created."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from plexctl.clients.routes import local_routes
from plexctl.config.networks import each, free_networks
from plexctl.errors import UsageError
from plexctl.model.observed import HostState
from plexctl.model.plex import Link, Plex
from plexctl.plan.network.links import network_name
from plexctl.provision.overlaps import is_there, overlaps, used_networks
from plexctl.workflow.core.context import Context


def require_free_networks(ctx: Context, plex: Plex, states: Mapping[str, HostState]) -> None:
    """UsageError if a network of `plex` overlaps with another one of its hosts.

    Hosts that have the bridge of the plex already are left out: somebody uses it, and what came
    later is not a reason to refuse changes.
    """
    lines: list[str] = []
    used = [net for other in ctx.lab.plexes.values() for net in each(other.networks).values()]
    used += [ctx.lab.registry.network] if ctx.lab.registry else []
    for name in plex.hosts:
        spec, state = ctx.lab.hosts[name], states[name]
        own, wanted = network_name(plex.name), each(plex.networks)
        if plex.networks.link is Link.BRIDGE:
            own = spec.bridge or own
            del wanted["nodes"]  # they are in a network that exists
        if state.unreachable or is_there(plex, own, state):
            continue
        routes = local_routes() if spec.local else ()
        if plex.networks.link is Link.BRIDGE:  # other routes may lead to its pods
            routes = tuple(route for route in routes if route.connected)
        lines += overlaps(wanted, own, state, routes)
        used += used_networks(state, routes)
    if lines:
        raise UsageError(
            f"refusing to create networks for {plex.name}: they overlap with others",
            details=dict.fromkeys(lines),
            hint=_free(ctx, plex, used),
        )


def _free(ctx: Context, plex: Plex, used: list[IPv4Network]) -> str:
    file = plex.file.relative_to(ctx.lab.root)
    try:
        free = each(free_networks(used))
    except UsageError as error:
        return f"{error.summary}; change `networks` in {file}"
    fields = ", ".join(f"{field}: {network}" for field, network in free.items())
    return f"these are free: write `networks: {{{fields}}}` into {file}"
