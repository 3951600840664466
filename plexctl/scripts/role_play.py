"""From the words of `ansrole` to a play: who, which role, which variables. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from plexctl.errors import UsageError

HINT = "as in demo2:gate:motd, or 'all:!master:motd'"


@dataclass(frozen=True, slots=True)
class Target:
    """Who a role is applied to. `pattern` is Ansible's."""

    pattern: str
    role: str


def target(words: str) -> Target:
    """PATTERN[:PATTERN]…:ROLE: the last part is the role. UsageError if there are not two."""
    pattern, colon, role = words.rpartition(":")
    # More than one colon before the role, for those whose pattern ends in an empty part.
    pattern = pattern.rstrip(":")
    if not (colon and pattern and re.fullmatch(r"[\w./-]+", role)):
        raise UsageError(f"{words!r} does not say who and which role", hint=HINT)
    return Target(pattern, role)


def variables(words: Sequence[str], role: str, *, prefixed: bool = False) -> dict[str, object]:
    """What `name=value` and JSON objects say; a later one wins. Values of the first are texts.

    With `prefixed`, the names before an equals sign have the role's name before them:
    `colour=red` for the role motd is motd_colour. UsageError for a word that is neither.
    """
    found: dict[str, object] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            found |= _object(word)
            continue
        name, equals, value = word.partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z_]\w*", name)):
            raise UsageError(f"{word!r} is no variable", hint="name=value, or an object in JSON")
        found[f"{role}_{name}" if prefixed else name] = value
    return found


def _object(word: str) -> dict[str, object]:
    try:
        found = json.loads(word)
    except ValueError as error:
        raise UsageError(f"{word!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{word!r} is not an object in JSON")
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
    """The one play that applies `role` (a folder), as YAML. `serial` is a number or a share.

    `files` hold further variables.
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
