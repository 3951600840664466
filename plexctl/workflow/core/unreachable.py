"""Unreachable hosts: which nodes are left out, and the error at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable

from plexctl.errors import UnreachableHostError
from plexctl.model.plex import Node
from plexctl.workflow.core.context import Context


def on_reachable_hosts(ctx: Context, members: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes whose hosts are not known to be unreachable."""
    return tuple(node for node in members if ctx.hosts[node.host].unreachable is None)


def raise_if_unreachable(ctx: Context, members: tuple[Node, ...]) -> None:
    """UnreachableHostError if a host of `members` is unreachable."""
    left = [node for node in members if ctx.hosts[node.host].unreachable]
    if not left:
        return
    unreachable_reasons = dict.fromkeys(
        s for node in left if (s := ctx.hosts[node.host].unreachable)
    )
    names = ", ".join(node.name for node in left)
    raise UnreachableHostError(
        "; ".join(unreachable.summary for unreachable in unreachable_reasons),
        details=(f"not changed: {names}", "everything else is done"),
        hint="when the host answers again: `plexctl up`",
    )


def raise_if_left_behind(ctx: Context, hosts: Iterable[str], left: str, command: str) -> None:
    """UnreachableHostError if one of `hosts` is unreachable. `left` describes what was not done.

    `command` completes it.
    """
    for name in hosts:
        if unreachable := ctx.hosts[name].unreachable:
            raise UnreachableHostError(
                unreachable.summary,
                details=(left,),
                hint=f"when the host answers again: `{command}`",
            )


def still_there(name: str) -> str:
    return f"objects of {name} on this host were not deleted; all others were"
