"""The verbs `host list` and `host remove`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from plexctl.config.edit_hosts import remove_host
from plexctl.errors import PlexError, UsageError
from plexctl.model.lab_id import is_lab
from plexctl.model.observed import HostState
from plexctl.results.hosts import HostResult, HostRow, HostsResult
from plexctl.workflow.core.clock import clock_notes
from plexctl.workflow.core.context import Context
from plexctl.workflow.host.declaration import hosts_file
from plexctl.workflow.host.tokens import delete_host_token


def list_hosts(ctx: Context) -> HostsResult:
    """Ask all hosts at the same time. A host that is unreachable is part of the answer."""
    with ThreadPoolExecutor(max_workers=len(ctx.hosts)) as pool:
        return HostsResult(tuple(pool.map(lambda name: _row(ctx, name), ctx.hosts)))


def _row(ctx: Context, name: str) -> HostRow:
    host = ctx.hosts[name]
    spec = host.spec
    unreachable = instances = version = None
    notes: tuple[str, ...] = ()
    cpus = memory = 0
    try:
        facts = host.facts()
        cpus, memory = facts.cpus, facts.memory
        state = host.read()
        instances = _instances(ctx, state)
        version, notes = host.version() or None, clock_notes([state])
    except PlexError as error:
        unreachable = ": ".join((error.summary, *error.details))
    endpoint = spec.url or spec.socket
    kind, note = str(spec.kind), "".join(notes)
    return HostRow(name, kind, endpoint, unreachable, instances, cpus, memory, version, note)


def _instances(ctx: Context, state: HostState) -> int:
    """Number of the lab's instances on a host."""
    seen = state.instances.values()
    return sum(1 for one in seen if is_lab(one.tags.get("lab"), ctx.seed.lab_id))


def remove(ctx: Context, name: str) -> HostResult:
    """Remove a host from the lab; nothing on it is changed. UsageError while a plex names it."""
    if name not in ctx.lab.hosts:
        raise UsageError(f"the lab has no host {name}", hint=f"it has {', '.join(ctx.lab.hosts)}")
    users = [plex.name for plex in ctx.lab.plexes.values() if name in plex.hosts]
    if users:
        raise UsageError(
            f"host {name} is in use by plex {', '.join(users)}",
            hint="remove it from `hosts` in the plex file first",
        )
    if len(ctx.lab.hosts) == 1:
        raise UsageError("cannot remove the last host of the lab")
    kept = 0
    with suppress(PlexError):  # a host that is gone for good must be removable too
        kept = _instances(ctx, ctx.hosts[name].read())
    changed = remove_host(ctx.lab.root, hosts_file(ctx), name)
    delete_host_token(ctx.lab, name)
    text = f"host {name} is removed from the lab"
    if kept:
        stays = "instance of the lab stays" if kept == 1 else "instances of the lab stay"
        text += f"; {kept} {stays} on it"
    return HostResult(name, changed, text)
