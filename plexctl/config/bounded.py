"""Read files of untrusted origin within bounds: YAML, JSON, and their bytes.

The composer of libyaml recurses in C, so deep nesting would crash the process, and an alias is a
whole value again, so a few lines could expand to gigabytes. All bounds are checked on the events
of the parser, which needs little memory and no recursion, before any value is built.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from plexctl.errors import ConfigError, Problem, UsageError

MOST_BYTES = 4 * 2**20
"""Files that people write. Manifests of upstream projects have at most 2 MB."""

MOST_DEPTH = 50
MOST_NODES = 200_000
"""Values of a file, with those that aliases repeat."""

TREE_BYTES, TREE_NODES = 64 * 2**20, 2_000_000
"""Of files in the trees of apps: manifests that a program generated may be long."""

MOST_JSON_BYTES = 256 * 2**20
"""States and plans of OpenTofu: large, but not endless."""

PATTERN_SECONDS = 0.2
"""Seconds of the processor that a match with a user's regular expression may take."""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class BoundError(yaml.MarkedYAMLError):
    """YAML that nests too deeply or has too many values. It has the mark of the place."""


def read_regular(file: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file. OSError, with a reason in `strerror`, for anything else.

    It never waits: FIFOs, sockets and devices are refused before they are opened.
    """
    _refuse_irregular(file, file.stat(), most)
    # Between the two calls, the file may have been replaced by a FIFO.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        _refuse_irregular(file, os.fstat(opened.fileno()), most)
        content = opened.read(most + 1)
    if len(content) > most:
        raise _too_large(file, most)
    return content


def _refuse_irregular(file: Path, found: os.stat_result, most: int) -> None:
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise OSError(0, f"it is {kind}, not a regular file", str(file))
    if found.st_size > most:
        raise _too_large(file, most)


def _too_large(file: Path, most: int) -> OSError:
    return OSError(0, f"it is larger than {most >> 20} MiB", str(file))


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end is not reached yet."""

    anchor: str | None
    size: int = 1  # values so far, with itself
    levels: int = 0  # the deepest so far below it


def _beyond(event: yaml.Event, problem: str) -> BoundError:
    at = event.start_mark
    mark = yaml.Mark("", at.index, at.line, at.column, None, 0) if at else None
    return BoundError(problem=problem, problem_mark=mark)


def check_yaml(text: str | bytes, *, cycles: bool = False, most_nodes: int = MOST_NODES) -> None:
    """BoundError if `text` exceeds a bound; another YAMLError if it is not valid YAML.

    Values that contain themselves exceed every bound, unless the caller allows `cycles`.
    """
    sizes: dict[str, tuple[int, int]] = {}  # anchor -> values in it, and levels below it
    opened: list[_Open] = []
    parser = yaml.CBaseLoader(text)
    try:
        while True:
            event = parser.get_event()
            if event is None:
                return
            size, levels = 1, 0
            if isinstance(event, yaml.ScalarEvent):
                if event.anchor:
                    sizes[event.anchor] = (1, 0)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(opened) >= MOST_DEPTH:
                    raise _beyond(event, f"nests more than {MOST_DEPTH} levels deep")
                opened.append(_Open(event.anchor))
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = opened.pop()
                size, levels = closed.size, closed.levels
                if closed.anchor:
                    sizes[closed.anchor] = (size, levels)
                levels += 1
            elif isinstance(event, yaml.AliasEvent):
                known = sizes.get(event.anchor or "")
                if any(outer.anchor == event.anchor for outer in opened):
                    if not cycles:
                        raise _beyond(event, "a value contains itself through an anchor")
                elif known is not None:
                    size, levels = known[0], known[1] + 1
                    if len(opened) + levels > MOST_DEPTH:
                        raise _beyond(
                            event, f"nests more than {MOST_DEPTH} levels deep through aliases"
                        )
            else:
                if isinstance(event, yaml.DocumentStartEvent):
                    sizes.clear()
                continue
            if opened:
                opened[-1].size += size
                opened[-1].levels = max(opened[-1].levels, levels)
            if size > most_nodes or (opened and opened[-1].size > most_nodes):
                raise _beyond(
                    event, f"has more than {most_nodes} values, with those that aliases repeat"
                )
    finally:
        parser.dispose()


def read_given(file: Path, most: int = MOST_JSON_BYTES) -> str:
    """The text of a file that the user names on the command line; a pipe is read to its end.

    UsageError if it cannot be read, is too large, or is not UTF-8. A byte order mark is left out.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise _too_large(file, most)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line}: the file is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{file} cannot be read: {reason}") from error


def json_object(content: bytes, file: Path) -> dict[str, str]:
    """The texts by name in a JSON file of a lab. ConfigError with the line and the field."""
    doubled: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        doubled.extend(name for place, name in enumerate(names) if name in names[:place])
        return dict(pairs)

    def problem(field: str, message: str, line: int | None = None) -> ConfigError:
        shown = json.dumps(field, ensure_ascii=False).encode(errors="replace")
        found = content.find(shown) if field else 0
        at = line or content.count(b"\n", 0, max(found, 0)) + 1
        hint = "restore the file from version control"
        return ConfigError([Problem(file, at, field, message, hint)])

    try:
        value = check_json(content, MOST_BYTES)
        json.loads(content, object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise problem("", "the file is not UTF-8 text", line) from error
    except ValueError as error:
        place = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise problem("", f"not valid JSON: {error}", place) from error
    if not isinstance(value, dict):
        raise problem("", "must be a JSON object")
    for name, one in value.items():
        if not isinstance(one, str):
            raise problem(name, "must be a text")
    for name in doubled:
        raise problem(name, "is given twice")
    return value


def pattern_matches(pattern: str, text: str, *, whole: bool = False) -> bool:
    """Whether a regular expression of a file matches `text`, anywhere or as a `whole`.

    ValueError if it is not valid, or takes longer than PATTERN_SECONDS: some expressions try so
    many ways that they never end.
    """
    try:
        compiled = re.compile(pattern)
        match = compiled.fullmatch if whole else compiled.search
        with _limited(PATTERN_SECONDS):
            return match(text) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    except TimeoutError as error:
        raise ValueError("the regular expression takes too long") from error


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """TimeoutError after `seconds` of the processor. Only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check_json(text: str | bytes, most: int = MOST_JSON_BYTES) -> object:
    """The value of a JSON text. ValueError if it is not JSON, nests too deeply or is too large."""
    if len(text) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it nests more than {MOST_DEPTH} levels deep") from None
    level: list[object] = [value]
    for _ in range(MOST_DEPTH + 1):
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below += one.values()
            elif isinstance(one, list):
                below += one
        if not below:
            return value
        level = below
    raise ValueError(f"it nests more than {MOST_DEPTH} levels deep")
