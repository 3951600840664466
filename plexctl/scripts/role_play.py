"""Turn the arguments of `ansrole` into a play: nodes, role, variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from plexctl.config.bounded import check_json
from plexctl.errors import UsageError

HINT = "as in demo2:gate:motd, or 'all:!master:motd'"


@dataclass(frozen=True, slots=True)
class Target:
    """A role and its nodes. `pattern` is an Ansible pattern."""

    pattern: str
    role: str


def target(words: str) -> Target:
    """PATTERN[:PATTERN]…:ROLE: the last part is the role. UsageError if there are not two."""
    pattern, colon, role = words.rpartition(":")
    # A pattern may end in an empty part: several colons before the role.
    pattern = pattern.rstrip(":")
    if not (colon and pattern and re.fullmatch(r"[\w./-]+", role)):
        raise UsageError(f"{words!r} is not PATTERN:ROLE", hint=HINT)
    return Target(pattern, role)


def variables(words: Sequence[str], role: str, *, prefixed: bool = False) -> dict[str, object]:
    """Variables from `name=value` (a text) and JSON objects. A later one takes precedence.

    With `prefixed`, `colour=red` for the role motd sets motd_colour. UsageError for anything else.
    """
    found: dict[str, object] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            found |= _object(word)
            continue
        name, equals, value = word.partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z_]\w*", name)):
            raise UsageError(f"{word!r} is not a variable", hint="name=value, or a JSON object")
        found[f"{role}_{name}" if prefixed else name] = value
    return found


def _object(word: str) -> dict[str, object]:
    try:
        found = check_json(word)
    except ValueError as error:
        raise UsageError(f"{word!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{word!r} is not a JSON object")
    return found


def play(
    goal: Target,
    role: str,
    *,
    become: bool = True,
    facts: bool = True,
    serial: str | None = None,
    files: Sequence[str] = (),
) -> str:
    """A playbook that applies `role` (a folder), as YAML. `serial` is a number or a share.

    `files` contain further variables.
    """
    content: dict[str, object] = {
        "name": f"{goal.role} on {goal.pattern}",
        "hosts": goal.pattern,
        "become": become,
        "gather_facts": facts,
        "serial": serial or "100%",
        "roles": [role],
    }
    if files:
        content["vars_files"] = list(files)
    return yaml.safe_dump([content], sort_keys=False)
