"""The state of a plex: its file, its hosts and its cluster side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from plexctl.bootstrap.cluster import api_access
from plexctl.clients.kube.client import NodeStatus, UnreachableError
from plexctl.clients.kube.state import read_state
from plexctl.clients.routes import has_interface
from plexctl.errors import PlexError
from plexctl.keys.validity import clock_fault
from plexctl.model.nodes import masters, nodes
from plexctl.model.observed import (
    CORDONED,
    FROZEN,
    RUNNING,
    UNKNOWN,
    HostState,
    unreachable_reasons,
)
from plexctl.model.plex import Link, Node, Plex, Role
from plexctl.plan.network.links import network_name
from plexctl.provision.read import read_instances
from plexctl.results.status import ListResult, ListRow, NodeRow, StatusResult
from plexctl.workflow.core.clock import clock_notes
from plexctl.workflow.core.context import Context, current_plex
from plexctl.workflow.core.prefetch import Here, Pending, Prefetcher

AVAILABLE = "available"
"""CoreDNS has all its replicas. `status` does not query it: that would be a call of a host."""


def status(
    ctx: Context,
    plex: Plex,
    hosts: Pending[dict[str, HostState]],
    messages: Prefetcher,
    *,
    etcd: bool = True,
) -> StatusResult:
    """The state of hosts, and of the cluster, which `messages` reads at the same time.

    Hosts and clusters that do not answer are in the result; they are no error. Without `etcd` no
    master is asked about its members.
    """
    fault = clock_fault(plex.name)
    access = api_access(plex, ctx.seed)
    asked = messages.ask(read_state, access) if not fault and _leads_to(plex) else None
    states = hosts.result()
    found, dns, api = None, "unknown", "answers"
    notes = clock_notes(states.values())
    try:
        if fault:
            api = fault
        elif asked is None and states[nodes(plex)[0].host].unreachable:
            api = f"not called: this machine has no interface {network_name(plex.name)}"
        elif _may_answer(plex, states):
            said = (asked or messages.ask(read_state, access)).result()
            found, dns = {node.name: node for node in said.nodes}, _dns(said.dns, plex.dns_replicas)
            notes += said.notes
        else:
            api = "the master does not run"
    except UnreachableError as error:
        api = " ".join((error.summary, *error.details))
    members = _members(ctx, plex, states) if etcd and plex.masters > 1 else None
    rows = _rows(plex, states, found)
    healthy = found is not None and dns == AVAILABLE and all(_healthy(row) for row in rows)
    unreachable = unreachable_reasons(states.values())
    result = StatusResult(plex.name, healthy, api, dns, rows, unreachable, notes)
    return _with_members(result, members) if members else result


@dataclass(frozen=True, slots=True)
class _Members:
    """etcd of a plex with several masters."""

    etcd: str
    healthy: bool
    endpoint: str


def _members(ctx: Context, plex: Plex, states: Mapping[str, HostState]) -> _Members:
    """etcd as one of the masters that run describes it."""
    from plexctl.bootstrap.etcd import Etcd

    found = {one.name: states[one.host].instances.get(one.name) for one in masters(plex)}
    running = {name for name, one in found.items() if one and one.status == RUNNING}
    asked = tuple(one for one in masters(plex) if one.name in running)
    etcd = Etcd(plex.name, asked, ctx.hosts)
    try:
        members = etcd.members()
        endpoint = etcd.endpoint(str(plex.networks.endpoint))
    except PlexError as error:
        return _Members(" ".join((error.summary, *error.details[:1])), False, "")
    healthy = [one for one in members if one.healthy and not one.learner]
    leader = next((one.name for one in members if one.leads), "nobody")
    said = f"{len(healthy)} of {len(members)} members are healthy, {leader} leads"
    return _Members(said, len(healthy) == len(members) == plex.masters, endpoint)


def _with_members(result: StatusResult, members: _Members) -> StatusResult:
    healthy = result.healthy and members.healthy
    return replace(result, healthy=healthy, etcd=members.etcd, endpoint=members.endpoint)


def node_rows(ctx: Context, plex: Plex) -> tuple[NodeRow, ...]:
    hosts = Here().ask(read_instances, ctx.hosts, plex.hosts)
    return status(ctx, plex, hosts, Here(), etcd=False).nodes


def list_plexes(ctx: Context) -> ListResult:
    """All plexes of the lab, with the number of their running nodes."""
    states = read_instances(ctx.hosts, ctx.hosts) if ctx.lab.plexes else {}
    chosen = current_plex(ctx)
    rows = []
    for plex in ctx.lab.plexes.values():
        running = sum(
            1
            for node in nodes(plex)
            if (observed := states[node.host].instances.get(node.name))
            and observed.status == RUNNING
        )
        rows.append(
            ListRow(
                plex.name,
                plex.name == chosen,
                plex.kubernetes,
                plex.size,
                running,
                str(plex.networks.nodes),
            )
        )
    return ListResult(tuple(rows), unreachable_reasons(states.values()))


def _rows(
    plex: Plex, states: Mapping[str, HostState], found: Mapping[str, NodeStatus] | None
) -> tuple[NodeRow, ...]:
    wanted = nodes(plex)
    rows = [_row(node, states[node.host], found) for node in wanted]
    known = {node.name for node in wanted}
    for name, node in (found or {}).items():
        if name not in known:
            note = "joined by itself: it is in no plex file"
            roles = ",".join(node.roles) or "worker"
            rows.append(NodeRow(name, roles, "", "", "", "", node.ready, node.version, note))
    return tuple(rows)


def _row(node: Node, state: HostState, found: Mapping[str, NodeStatus] | None) -> NodeRow:
    observed = state.instances.get(node.name)
    known = found.get(node.name) if found is not None else None
    note = ""
    if observed and observed.status == FROZEN:
        note = "is paused; `plexctl up` resumes it"
    elif known is not None and not known.ready:
        note = known.message
    elif known is not None and known.unschedulable:
        note = CORDONED
    elif known is None and found is not None and node.role is not Role.PLAIN:
        note = "not registered"
    return NodeRow(
        node.name,
        str(node.role),
        node.type.name,
        node.host,
        str(node.address.ip),
        UNKNOWN if state.unreachable else observed.status if observed else "missing",
        None if node.role is Role.PLAIN or found is None else bool(known and known.ready),
        known.version if known else "",
        note,
    )


def _healthy(row: NodeRow) -> bool:
    return row.instance in (RUNNING, "") and row.ready is not False and row.note != CORDONED


def _leads_to(plex: Plex) -> bool:
    """Whether calls of the API reach the plex, or nothing: they would leave this machine otherwise.

    A plex that does not exist has no bridge here, and its addresses may be those of others.
    """
    if plex.api_forward or plex.networks.link is Link.BRIDGE:
        return True
    return has_interface(network_name(plex.name))


def _may_answer(plex: Plex, states: Mapping[str, HostState]) -> bool:
    """Whether a master runs, or may run as its host does not answer."""
    for master in masters(plex):
        if states[master.host].unreachable:
            return True
        observed = states[master.host].instances.get(master.name)
        if observed is not None and observed.status == RUNNING:
            return True
    return False


def _dns(ready: int, wanted: int) -> str:
    return AVAILABLE if ready >= wanted else f"{ready} of {wanted} CoreDNS pods are Ready"
