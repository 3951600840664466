"""The messages of `plan -json` and `apply -json`, as one line each. Pure.

Names are those of the configuration, or come from a provider: their control characters are escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from plexctl.errors import UsageError, visible_line

GENERATIONS = (r"module\.master\.terraform_data\.generation", r"terraform_data\.generation")
"""In plexctl's modules the first has an object for each node. To replace it replaces the node and
all nodes that depend on it. The second is the same for other modules."""

Message = Mapping[str, Any]


def planned(message: Message) -> str | None:
    """The line for a message of `plan -json`: "replace: ADDRESS"; None for other messages."""
    match message:
        case {
            "type": "planned_change",
            "change": {"action": str(action), "resource": {"addr": str(address)}},
        }:
            return None if action == "noop" else visible_line(f"{action}: {address}")
        case {"type": "outputs", "outputs": Mapping() as outputs}:
            lines = (
                visible_line(f"{one['action']}: output.{name}")
                for name, one in outputs.items()
                if isinstance(one, Mapping) and one.get("action", "noop") != "noop"
            )
            return "\n".join(lines) or None
    return summary(message, "proposed")


def applied(message: Message) -> str | None:
    """The line for a message of `apply -json` that says that a change begins."""
    match message:
        case {
            "type": "apply_start",
            "hook": {"action": str(action), "resource": {"addr": str(address)}},
        }:
            return visible_line(f"{action}: {address}")
    return summary(message, "implemented")


def summary(message: Message, title: str) -> str | None:
    """ "proposed: add: 1, remove: 1"; None where nothing changes."""
    match message:
        case {"type": "change_summary", "changes": Mapping() as changes}:
            counts = [
                visible_line(f"{name}: {number}")
                for name, number in changes.items()
                if isinstance(number, int) and number > 0
            ]
            return f"{title}: {', '.join(counts)}" if counts else None
    return None


def address_of(node: str, addresses: Iterable[str]) -> str:
    """The address for `-replace` that replaces `node` with all objects that depend on it.

    `addresses` are those of the state. `node` may be an address. Without a generation, the only
    object with the key `node` is taken. UsageError if there is none, or several.
    """
    if "." in node:
        return node
    known = tuple(addresses)
    key = re.escape(f'["{node}"]')
    generations = (rf"(.*\.)?{one}{key}" for one in GENERATIONS)
    for pattern in (*generations, rf"(?!data\.|.*\.data\.).*{key}"):
        found = [address for address in known if re.fullmatch(pattern, address)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"-replace={node}: several objects have this key",
                details=found,
                hint="name one of them",
            )
    raise UsageError(
        f"-replace={node}: the state has no such node",
        hint="`tfdeps --all` lists what it has",
    )
