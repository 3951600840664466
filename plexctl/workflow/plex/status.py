"""The state of a plex: its file, its hosts and its cluster side by side."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.bootstrap.cluster import api_access
from plexctl.clients.kube.client import NodeStatus, UnreachableError
from plexctl.clients.kube.state import read_state
from plexctl.model.nodes import nodes
from plexctl.model.observed import RUNNING, HostState, unreachable_reasons
from plexctl.model.plex import Node, Plex, Role
from plexctl.provision.read import read_hosts
from plexctl.results.plex import UNKNOWN, ListResult, ListRow, NodeRow, StatusResult
from plexctl.workflow.core.context import Context, current_plex
from plexctl.workflow.core.prefetch import Here, Pending, Prefetcher


def status(
    ctx: Context, plex: Plex, hosts: Pending[dict[str, HostState]], messages: Prefetcher
) -> StatusResult:
    """The state of hosts, and of the cluster, which `messages` reads at the same time.

    Hosts and clusters that do not answer are in the result; they are no error.
    """
    asked = messages.ask(read_state, api_access(plex, ctx.seed))
    states = hosts.result()
    found, dns, api = None, "unknown", "answers"
    try:
        if _may_answer(plex, states):
            said = asked.result()
            found, dns = {node.name: node for node in said.nodes}, _dns(*said.dns)
        else:
            api = "the master does not run"
    except UnreachableError as error:
        api = " ".join((error.summary, *error.details))
    rows = _rows(plex, states, found)
    healthy = found is not None and dns == "answers" and all(_healthy(row) for row in rows)
    return StatusResult(plex.name, healthy, api, dns, rows, unreachable_reasons(states.values()))


def node_rows(ctx: Context, plex: Plex) -> tuple[NodeRow, ...]:
    return status(ctx, plex, Here().ask(read_hosts, ctx.hosts, plex.hosts), Here()).nodes


def list_plexes(ctx: Context) -> ListResult:
    """All plexes of the lab, with the number of their running nodes."""
    states = ctx.engine.read(ctx.hosts) if ctx.lab.plexes else {}
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
    if known is not None and not known.ready:
        note = known.message
    elif known is not None and known.unschedulable:
        note = "cordoned"
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
    return row.instance in (RUNNING, "") and row.ready is not False


def _may_answer(plex: Plex, states: Mapping[str, HostState]) -> bool:
    """Whether the master runs, or may run as its host does not answer."""
    master = nodes(plex)[0]
    if states[master.host].unreachable:
        return True
    observed = states[master.host].instances.get(master.name)
    return observed is not None and observed.status == RUNNING


def _dns(available: int, wanted: int) -> str:
    return "answers" if 0 < wanted <= available else f"{available} of {wanted} CoreDNS pods"
