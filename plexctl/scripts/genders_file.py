"""The genders(5) format, and its conversion from and to Ansible's inventory. Pure.

A line is nodes, white space, attributes: `demo[2-3],gate kube,rack=a1`. A # starts a comment. In a
value, %n stands for the node's name and %% for a percent sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from plexctl.errors import UsageError

Attributes = dict[str, str | None]
"""By name; None for an attribute without a value."""

Nodes = dict[str, Attributes]
"""All nodes, in the order of the file, with their attributes."""

MOST = 1 << 16
"""The most nodes that all lines together may name: a typing error must not fill the memory."""

MOST_CHARACTERS = 1 << 22
"""Of attributes, each counted for every node that has it."""

LONGEST = 255
"""Characters of a name of a node."""

_OWN_GROUPS = ("all", "ungrouped")
_WORD = r"[^\s,#\[\]=%\x00-\x1f\x7f-\x9f]+"
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})", re.DOTALL)


def parse(text: str, name: str = "genders") -> Nodes:
    """The nodes of a genders file. UsageError with `name`, the line and the error."""
    nodes: Nodes = {}
    named = written = 0
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition("#")[0].split()
        try:
            count = _read(fields, nodes, MOST - named, MOST_CHARACTERS - written)
            named += count
            written += count * len(fields[1]) if len(fields) > 1 else 0
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}") from error
    return nodes


def _read(fields: list[str], nodes: Nodes, most: int, most_characters: int) -> int:
    """Add the nodes of a line, within these limits. How many it names."""
    count = 0
    if not fields:
        return count
    if len(fields) > 2:
        raise ValueError(f"{fields[2]!r} follows the attributes; they are separated by commas")
    for node in expand(fields[0], most):
        count += 1
        if len(fields) == 2 and count * len(fields[1]) > most_characters:
            raise ValueError(
                f"{count} nodes and more have {len(fields[1])} characters of attributes"
            )
        own = nodes.setdefault(node, {})
        for item in fields[1].split(",") if len(fields) == 2 else ():
            attribute, equals, value = item.partition("=")
            if not attribute:
                raise ValueError("an attribute has no name")
            if attribute in own:
                raise ValueError(f"{node} has the attribute {attribute} already")
            own[attribute] = _substituted(value, node) if equals else None
    return count


def _substituted(value: str, node: str) -> str:
    return re.sub("%([n%])", lambda found: node if found[1] == "n" else "%", value)


def expand(names: str, most: int = MOST) -> Iterator[str]:
    """The nodes that `demo[2-3,07],gate` names. ValueError if it is not well formed."""
    count = 0
    for part in _parts(names):
        for node in _expand(part):
            count += 1
            if count > most:
                raise ValueError(f"more than {MOST} nodes are named, with those of {names[:60]}")
            if len(node) > LONGEST:
                raise ValueError(f"the name {node[:60]}… has more than {LONGEST} characters")
            yield node


def _parts(names: str) -> Iterator[str]:
    """What the commas outside of brackets separate."""
    start, inside = 0, False
    for place, character in enumerate(names):
        if character in "[]":
            inside = character == "["
        elif character == "," and not inside:
            yield names[start:place]
            start = place + 1
    yield names[start:]


def _expand(part: str) -> Iterator[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        if not part or "]" in part:
            raise ValueError(f"{part!r} is not the name of a node")
        yield part
        return
    inner, bracket, after = rest.partition("]")
    if not bracket:
        raise ValueError(f"{part!r} lacks a ]")
    for item in inner.split(","):
        found = _RANGE.fullmatch(item)
        if not found:
            raise ValueError(f"{item!r} is not a number or a range of numbers")
        first, last = found[1], found[2] or found[1]
        if int(last) < int(first):
            raise ValueError(f"the range {item} ends before it begins")
        for number in range(int(first), int(last) + 1):
            name = f"{before}{number:0{len(first)}d}"
            yield from _expand(name + after) if after else (name,)


def inventory(nodes: Nodes) -> dict[str, Any]:
    """Ansible's dynamic inventory (`--list`): attributes as groups, values as variables."""
    groups: dict[str, list[str]] = {}
    for node, attributes in nodes.items():
        for attribute in attributes or ("ungrouped",):
            groups.setdefault(attribute, []).append(node)
    return {
        **{group: {"hosts": members} for group, members in groups.items()},
        "_meta": {"hostvars": {node: variables(own) for node, own in nodes.items()}},
    }


def variables(attributes: Attributes) -> dict[str, str]:
    """The variables of one node: its attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def nodes_of(inventory: Mapping[str, Any]) -> Nodes:
    """The nodes of an inventory in the format of `ansible-inventory --list`.

    A group becomes an attribute. A variable with the name of a group of its node becomes the value.
    Other variables are left out. UsageError if it is not an inventory.
    """
    try:
        known = inventory.get("_meta", {}).get("hostvars", {})
        nodes: Nodes = {str(node): {} for node in known}
        for group in inventory:
            if group == "_meta":
                continue
            for node in dict.fromkeys(_members(inventory, group, ())):
                if not isinstance(node, str):
                    raise TypeError("a name of a node must be a text")
                own = nodes.setdefault(node, {})
                if group not in _OWN_GROUPS:
                    value = known.get(node, {}).get(group)
                    own[group] = None if value is None else str(value)
    except (AttributeError, TypeError) as error:
        hint = "an inventory is the JSON output of `ansible-inventory --list`"
        raise UsageError("this is not an inventory of Ansible", hint=hint) from error
    return nodes


def _members(inventory: Mapping[str, Any], group: str, outer: tuple[str, ...]) -> Iterator[str]:
    content = inventory.get(group, {})
    # The short form of a group is the list of its hosts.
    yield from content if isinstance(content, list) else content.get("hosts", ())
    if isinstance(content, Mapping):
        for child in content.get("children", ()):
            if child not in (*outer, group):
                yield from _members(inventory, child, (*outer, group))


def text(nodes: Nodes) -> str:
    """A genders file: one line for all nodes with the same attributes.

    Nodes have their short names. UsageError for what the format cannot express.
    """
    nodes = _short(nodes)
    alike: dict[tuple[tuple[str, str | None], ...], list[str]] = {}
    for node, attributes in nodes.items():
        alike.setdefault(tuple(attributes.items()), []).append(node)
    lines = []
    for pairs, members in alike.items():
        for name in (*members, *(name for name, _ in pairs)):
            if not re.fullmatch(_WORD, name):
                raise UsageError(f"a genders file cannot contain the name {name!r}")
        words = ",".join(_attribute(name, value) for name, value in pairs)
        lines.append(f"{compress(members)} {words}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def _short(nodes: Nodes) -> Nodes:
    """The nodes by short names: genders(5) and nodeattr(1) refuse names with a dot.

    UsageError for two nodes with one short name, and for addresses.
    """
    found: Nodes = {}
    for node, attributes in nodes.items():
        short = node.partition(".")[0]
        if re.fullmatch(r"[0-9]+(\.[0-9]+)+", node) or not short:
            raise UsageError(f"a genders file cannot contain the name {node!r}")
        if short in found:
            raise UsageError(f"{node} and another node have the short name {short}")
        found[short] = attributes
    return found


def _attribute(name: str, value: str | None) -> str:
    if value is None:
        return name
    if re.search(r"[\s,#]", value):
        raise UsageError(f"a genders file cannot contain the value {value!r} of {name}")
    return f"{name}={value.replace('%', '%%')}"


def compress(nodes: Iterable[str]) -> str:
    """`demo2,demo3,gate` as `demo[2-3],gate`; `expand` is the inverse."""
    families: dict[tuple[str, int], list[int]] = {}
    for node in nodes:
        found = _NUMBERED.fullmatch(node)
        if found is None:
            families[node, -1] = []
            continue
        digits = found[2]
        width = len(digits) if digits[0] == "0" and len(digits) > 1 else 0
        families.setdefault((found[1], width), []).append(int(digits))
    return ",".join(_family(name, width, numbers) for (name, width), numbers in families.items())


def _family(name: str, width: int, numbers: list[int]) -> str:
    if not numbers:
        return name
    if len(numbers) == 1:
        return f"{name}{numbers[0]:0{width}d}"
    ranges = []
    counted = enumerate(sorted(numbers))
    for _, together in groupby(counted, lambda pair: pair[1] - pair[0]):
        run = [number for _, number in together]
        first, last = (f"{number:0{width}d}" for number in (run[0], run[-1]))
        ranges.append(first if len(run) == 1 else f"{first}-{last}")
    return f"{name}[{','.join(ranges)}]"
