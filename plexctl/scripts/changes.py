"""What a plan says it will do and an apply says it does, in a line each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from plexctl.errors import UsageError

GENERATION = "terraform_data.generation"
"""In the modules of plexctl, one for each node: a new one makes the node and all that follow it
anew."""

Message = Mapping[str, Any]


def planned(message: Message) -> str | None:
    """The line of a message of `plan -json`: "replace: ADDRESS"; None if it is none of interest."""
    match message:
        case {"type": "planned_change", "change": {"action": str(action), "resource": resource}}:
            return None if action == "noop" else f"{action}: {resource['addr']}"
        case {"type": "outputs", "outputs": Mapping() as outputs}:
            lines = (
                f"{one['action']}: output.{name}"
                for name, one in outputs.items()
                if one.get("action", "noop") != "noop"
            )
            return "\n".join(lines) or None
    return summary(message, "proposed")


def applied(message: Message) -> str | None:
    """The line of a message of `apply -json`, as a change begins."""
    match message:
        case {"type": "apply_start", "hook": {"action": str(action), "resource": resource}}:
            return f"{action}: {resource['addr']}"
    return summary(message, "implemented")


def summary(message: Message, title: str) -> str | None:
    """ "proposed: add: 1, remove: 1"; None where nothing changes."""
    match message:
        case {"type": "change_summary", "changes": Mapping() as changes}:
            counts = [
                f"{name}: {number}"
                for name, number in changes.items()
                if isinstance(number, int) and number > 0
            ]
            return f"{title}: {', '.join(counts)}" if counts else None
    return None


def address_of(node: str, addresses: Iterable[str]) -> str:
    """What `-replace` must name for `node` to be made anew with all that depends on it.

    `addresses` are those of the state. What is an address already stays one. Where there is no
    generation, an object that alone has the key `node` is taken. UsageError if there is none.
    """
    if "." in node:
        return node
    known = tuple(addresses)
    key = re.escape(f'["{node}"]')
    for pattern in (rf"(.*\.)?{re.escape(GENERATION)}{key}", rf"(?!data\.|.*\.data\.).*{key}"):
        found = [address for address in known if re.fullmatch(pattern, address)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"-replace={node}: several objects are called so",
                details=found,
                hint="name one of them",
            )
    raise UsageError(
        f"-replace={node}: the state has no such node",
        hint="`tfdeps --all` lists what it has",
    )
