"""Hosts that do not answer: what is left out, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable

from plexctl.errors import UnreachableHostError
from plexctl.model.plex import Node
from plexctl.workflow.core.context import Context


def on_reachable_hosts(ctx: Context, members: tuple[Node, ...]) -> tuple[Node, ...]:
    """Those whose hosts answer, as far as they have been asked."""
    return tuple(node for node in members if ctx.hosts[node.host].unreachable is None)


def raise_if_unreachable(ctx: Context, members: tuple[Node, ...]) -> None:
    """UnreachableHostError if a host of `members` does not answer."""
    left = [node for node in members if ctx.hosts[node.host].unreachable]
    if not left:
        return
    unreachable_reasons = dict.fromkeys(
        s for node in left if (s := ctx.hosts[node.host].unreachable)
    )
    names = ", ".join(node.name for node in left)
    raise UnreachableHostError(
        "; ".join(unreachable.summary for unreachable in unreachable_reasons),
        details=(f"as they were: {names}", "all else is done"),
        hint="once it answers, `plexctl up` does the rest",
    )


def raise_if_left_behind(ctx: Context, hosts: Iterable[str], left: str, command: str) -> None:
    """UnreachableHostError if one of `hosts` does not answer: what is `left` of it, in words.

    `command` does the rest.
    """
    for name in hosts:
        if unreachable := ctx.hosts[name].unreachable:
            raise UnreachableHostError(
                unreachable.summary, details=(left,), hint=f"once it answers: `{command}`"
            )


def still_there(name: str) -> str:
    return f"what it has of {name} is still there; all else is gone"
