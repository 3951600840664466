"""Plexes and nodes by the names that a user writes."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.config.faults import Fault
from plexctl.config.values.names import parse_plex_name
from plexctl.errors import UsageError
from plexctl.model.nodes import masters, nodes
from plexctl.model.plex import Node, Plex
from plexctl.workflow.core.context import Context, find_plex

MASTER = "master"


def node_names(plex: Plex, names: Sequence[str]) -> tuple[str, ...]:
    """The full names of nodes; "master" are all masters. UsageError for an unknown name."""
    known = {node.name for node in nodes(plex)}
    first, *others = (node.name for node in masters(plex))
    meant = [(first, *others) if name == MASTER else (name,) for name in names]
    chosen = tuple(dict.fromkeys(name for one in meant for name in one))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        all_masters = " ".join((first, *others))
        raise UsageError(
            f"plex {plex.name} has no node {', '.join(unknown)}",
            hint=f"its nodes are {first} … {plex.name}{plex.size}; `{MASTER}` is {all_masters}",
        )
    return chosen


def destroyable_plex(ctx: Context, name: str | None) -> str:
    """The name of a plex to destroy. Its file may be gone. UsageError for other names."""
    registry = ctx.lab.registry
    if registry is not None and name == registry.name:
        raise UsageError(f"{name} is the lab's registry", hint="`plexctl registry destroy`")
    if name is None or name in ctx.lab.plexes:
        return find_plex(ctx, name).name
    try:
        return parse_plex_name(name)
    except Fault as fault:
        raise UsageError(str(fault), hint=fault.hint) from fault


def plex_of(ctx: Context, names: Sequence[str], plex: str | None) -> Plex:
    """The plex of nodes: `plex`, else the one with a node of that name, else the current plex."""
    if plex is None:
        for name in names:
            for candidate in ctx.lab.plexes.values():
                if name in {node.name for node in nodes(candidate)}:
                    return candidate
    return find_plex(ctx, plex)


def find_node(ctx: Context, name: str, plex: str | None) -> tuple[Plex, Node]:
    """A node by its name, or "master", the first one. UsageError for an unknown name."""
    chosen = plex_of(ctx, (name,), plex)
    full = node_names(chosen, (name,))[0]
    return chosen, next(node for node in nodes(chosen) if node.name == full)


def has_master(plex: Plex, names: Sequence[str]) -> bool:
    """Whether all masters are among `names`: their replacement replaces the whole cluster."""
    return set(node_names(plex, (MASTER,))) <= set(node_names(plex, names))
