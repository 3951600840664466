"""Hosts that do not answer: what is left out, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.errors import UnreachableHostError
from plexctl.model.observed import HostState
from plexctl.model.plex import Node
from plexctl.workflow.context import Context


def answering(ctx: Context, members: tuple[Node, ...]) -> tuple[Node, ...]:
    """Those whose hosts answer, as far as they have been asked."""
    return tuple(node for node in members if ctx.hosts[node.host].silence is None)


def tell_silent(ctx: Context, members: tuple[Node, ...]) -> None:
    """UnreachableHostError if a host of `members` does not answer."""
    left = [node for node in members if ctx.hosts[node.host].silence]
    if not left:
        return
    silences = dict.fromkeys(s for node in left if (s := ctx.hosts[node.host].silence))
    names = ", ".join(node.name for node in left)
    raise UnreachableHostError(
        "; ".join(silence.summary for silence in silences),
        details=(f"as they were: {names}", "all else is done"),
        hint="once it answers, `plexctl up` does the rest",
    )


def tell_left(states: Mapping[str, HostState], name: str, command: str) -> None:
    """UnreachableHostError if a host that does not answer may still have something of `name`."""
    for state in states.values():
        if state.silence:
            raise UnreachableHostError(
                state.silence.summary,
                details=(f"what it has of {name} is still there; all else is gone",),
                hint=f"once it answers: `{command}`",
            )
