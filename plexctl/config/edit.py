"""How many workers a plex has: changed in the model, and in its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from plexctl.config.check import room_for
from plexctl.errors import PlexError, UsageError
from plexctl.model.files import write_atomic
from plexctl.model.nodes import capacity
from plexctl.model.plex import Plex

FIELD = "workers"


def with_workers(plex: Plex, workers: int) -> Plex:
    """`plex` with another number of workers. UsageError if its file could not say so."""
    if workers < 0:
        raise UsageError(f"a plex cannot have {workers} workers")
    scaled = replace(plex, workers=workers)
    most = capacity(plex.networks)
    if scaled.size > most:
        raise UsageError(
            f"{scaled.size} nodes do not fit into the networks of {plex.name}: {most} do",
            hint=room_for(scaled.size),
        )
    for place, group in enumerate(plex.groups):
        if beyond := [number for number in group.nodes if number > scaled.size]:
            raise UsageError(
                f"groups[{place}] of {plex.name} names node {min(beyond)}, "
                f"and {workers} workers make {scaled.size} nodes",
                hint=f"take the number out of `groups` in {plex.file}",
            )
    return scaled


def set_workers(file: Path, workers: int) -> None:
    """Have the plex file `file` say `workers`; all else stays as it is, byte for byte.

    PlexError if the file's own way of saying it cannot be changed safely, as behind an anchor.
    """
    try:
        text = file.read_bytes().decode()
        new = _edited(text, workers)
        before, after = yaml.safe_load(text) or {}, yaml.safe_load(new)
        safe = after == {**before, FIELD: workers}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise _refusal(file, workers) from error
    if not safe:
        raise _refusal(file, workers)
    if new != text:
        real = file.resolve()
        write_atomic(real, new.encode(), real.stat().st_mode & 0o777)


def _refusal(file: Path, workers: int) -> PlexError:
    return PlexError(
        f"cannot change `{FIELD}` in {file}", hint=f"write `{FIELD}: {workers}` there yourself"
    )


def _edited(text: str, workers: int) -> str:
    """`text` with the scalar of `workers` replaced, or a line added at the end."""
    # The loader in Python: its marks count characters of `text`.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        for key, value in reversed(root.value):
            if key.value == FIELD:
                if not isinstance(value, yaml.ScalarNode):
                    raise ValueError(f"{FIELD} is not a number")
                start, end = value.start_mark.index, value.end_mark.index
                space = " " if start == key.end_mark.index + 1 else ""
                return f"{text[:start]}{space}{workers}{text[end:]}"
        if root.flow_style:
            start = root.start_mark.index + 1
            comma = ", " if root.value else ""
            return f"{text[:start]}{FIELD}: {workers}{comma}{text[start:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    between = "" if not text or text.endswith("\n") else newline
    indent = " " * root.start_mark.column if root else ""
    return f"{text}{between}{indent}{FIELD}: {workers}{newline}"
