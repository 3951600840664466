"""Changes to files of a lab that keep all other bytes: the number of workers, added fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.config.check import room_for
from plexctl.config.values.nodes import MOST_NODES
from plexctl.errors import PlexError, UsageError
from plexctl.model.folder import lab_file
from plexctl.model.nodes import capacity
from plexctl.model.plex import Plex

FIELD = "workers"


def with_workers(plex: Plex, workers: int) -> Plex:
    """`plex` with another number of workers. UsageError if that does not fit its file."""
    if workers < 0:
        raise UsageError(f"a plex cannot have {workers} workers")
    if workers >= MOST_NODES:
        raise UsageError(
            f"a plex cannot have {workers} workers", hint=f"use at most {MOST_NODES - 1}"
        )
    scaled = replace(plex, workers=workers)
    most = capacity(plex.networks)
    if scaled.size > most:
        raise UsageError(
            f"{scaled.size} nodes do not fit into the networks of {plex.name}: room for {most}",
            hint=room_for(scaled.size),
        )
    for place, group in enumerate(plex.groups):
        if beyond := [number for number in group.nodes if number > scaled.size]:
            raise UsageError(
                f"groups[{place}] of {plex.name} contains node {min(beyond)}, but with {workers} "
                f"workers there are only {scaled.size} nodes",
                hint=f"remove the number from `groups` in {plex.file}",
            )
    return scaled


def set_workers(lab: Path, file: Path, workers: int) -> None:
    """Set `workers` in the plex file `file`, and keep all other bytes. Links in `lab` are followed.

    PlexError if the file cannot be changed safely, for example because of an anchor.
    """
    set_field(lab, file, FIELD, str(workers))


def set_field(lab: Path, file: Path, field: str, value: str) -> bool:
    """Set any field to a value of one word. False if it has this value already."""
    return _change(lab, file, field, value, lambda text: _edited(text, field, value))


def field_text(file: Path, field: str) -> str | None:
    """The scalar of a field as it is written in `file`, with quotes; None if it has none.

    PlexError if the file cannot be read.
    """
    try:
        text = read_regular(file).decode()
        check_yaml(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlexError(f"cannot read {file}", details=(str(error),)) from error
    if isinstance(root, yaml.MappingNode):
        for key, there in reversed(root.value):
            if key.value == field and isinstance(there, yaml.ScalarNode):
                return text[there.start_mark.index : there.end_mark.index]
    return None


def add_field(lab: Path, file: Path, field: str, value: str) -> bool:
    """Add the line `field: value` to the YAML file `file`. False if it has the field already.

    `value` is YAML on one line. All other bytes stay. PlexError if the line cannot be added safely.
    """
    return _change(lab, file, field, value, lambda text: _with_field(text, field, value))


def _change(lab: Path, file: Path, field: str, value: str, edit: Callable[[str], str]) -> bool:
    """Write the result of `edit` to `file`, if only `field` differs, and has the value `value`."""
    refusal = PlexError(
        f"cannot change `{field}` in {file}",
        hint=f"write `{field}: {value}` into the file yourself",
    )
    try:
        text = read_regular(file).decode()
        check_yaml(text)
        new = edit(text)
        before, after = yaml.safe_load(text) or {}, yaml.safe_load(new) or {}
        safe = new == text or after == {**before, field: yaml.safe_load(value)}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "strerror", None) or str(error)
        details = (f"line {mark.line + 1}: {reason}" if mark else reason,)
        raise PlexError(refusal.summary, details=details, hint=refusal.hint) from error
    if not safe:
        reason = "other fields would change, for example through an anchor"
        raise PlexError(refusal.summary, details=(reason,), hint=refusal.hint)
    if new != text:
        folder, name = lab_file(lab, file)
        folder.rewrite(name, new.encode())
    return new != text


def _edited(text: str, field: str, value: str) -> str:
    """`text` with the scalar of `field` replaced, or a line added at the end."""
    # Marks of the loader in Python count characters of `text`; those in C do not.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        for key, there in reversed(root.value):
            if key.value == field:
                if not isinstance(there, yaml.ScalarNode):
                    raise ValueError(f"{field} is not a scalar")
                start, end = there.start_mark.index, there.end_mark.index
                space = " " if start == key.end_mark.index + 1 else ""
                return f"{text[:start]}{space}{value}{text[end:]}"
    return _with_field(text, field, value)


def _with_field(text: str, field: str, value: str) -> str:
    """`text` with `field: value` in its outermost mapping, unless the field is there."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        if any(key.value == field for key, _ in root.value):
            return text
        if root.flow_style:
            start = root.start_mark.index + 1
            comma = ", " if root.value else ""
            return f"{text[:start]}{field}: {value}{comma}{text[start:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    between = "" if not text or text.endswith("\n") else newline
    indent = " " * root.start_mark.column if root else ""
    return f"{text}{between}{indent}{field}: {value}{newline}"
