"""A plex in the user's own kubeconfig. Other entries of that file do not change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.errors import PlexError, UsageError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.files import rewrite, write_copy
from plexctl.model.folder import refuse_read_only
from plexctl.model.plex import Plex
from plexctl.results.lab import KubeconfigResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.plex.access import kubeconfig

SECTIONS = ("clusters", "contexts", "users")
CURRENT = "current-context"
LOCKED = 10.0
"""Seconds in which another program must have changed a kubeconfig."""

ENDLESS = 1 << 20
"""A line width at which YAML folds no line."""


def write(ctx: Context, plex: Plex, file: Path) -> KubeconfigResult:
    """Write the kubeconfig of `plex` to a file of its own.

    A copy of a file with other entries is kept beside it (.bak).
    """
    with locked(file):
        new, old = kubeconfig(ctx, plex), kubeconfig_text(file)
        backup = _keep(file, old) if old and old != new and _has_others(old, new) else None
        return _written(plex, file, new, old, backup)


def merge(ctx: Context, plex: Plex) -> KubeconfigResult:
    """Merge the kubeconfig of `plex` into the user's own, and make it the current context.

    A copy of the old file is kept beside it (.bak).
    """
    named = users_file()
    with locked(named):
        file = named.resolve()
        new, old = kubeconfig(ctx, plex), kubeconfig_text(file)
        if old is None or not old.strip():
            return _written(plex, file, new, old)
        text = merged(old, new, file)
        backup = _keep(file, old) if text != old else None
        return _written(plex, file, text, old, backup)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a kubeconfig, which `kubectl config` and others take: FILE.lock.

    PlexError if another program has it for too long.
    https://github.com/kubernetes/client-go/blob/v0.36.0/tools/clientcmd/config.go
    """
    lock = file.with_name(f"{file.name}.lock")
    held = False

    def probe() -> Observation:
        nonlocal held
        try:
            os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
        except FileExistsError:
            return Observation(False, f"{lock} exists")
        except OSError as error:
            raise PlexError(f"cannot create {lock}: {error.strerror}") from error
        held = True
        return Observation(True)

    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PlexError(f"cannot create {file.parent}: {error.strerror}") from error
    try:
        wait(
            Condition(
                f"no other program changes {file}",
                probe,
                LOCKED,
                every=0.02,
                hint=f"if no other program runs, one was killed: `rm {lock}`",
            )
        )
        yield
    finally:
        if held:
            lock.unlink(missing_ok=True)


def users_file() -> Path:
    """The file that kubectl writes to: the first of $KUBECONFIG, or ~/.kube/config."""
    names = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(names[0]) if names else Path.home() / ".kube" / "config"


def merged(old: str, new: str, file: Path) -> str:
    """`old` with the entries and the current context of `new`, which replace those of that name.

    The merge works on nodes of YAML, so that other values keep their exact text. UsageError if
    `old`, which is the content of `file`, is not a kubeconfig.
    """
    try:
        target, source = _compose(old), _compose(new)
        for section in SECTIONS:
            _replace_named(_items(target, section), _items(source, section))
        _set(target, CURRENT, _get(source, CURRENT))
        return yaml.serialize(target, Dumper=yaml.SafeDumper, width=ENDLESS, allow_unicode=True)
    except (yaml.YAMLError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        place = f"{file}:{mark.line + 1}: " if mark else ""
        raise UsageError(
            f"cannot merge into {file}: it is not a kubeconfig",
            details=f"{place}{reason}".splitlines(),
            hint="repair it, or write another file: `plexctl kubeconfig --output FILE`",
        ) from error


def kubeconfig_text(file: Path) -> str | None:
    """The text of a kubeconfig; None if there is none. UsageError if it cannot be read."""
    try:
        return read_regular(file).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"cannot read {file}: {reason}") from error


def _keep(file: Path, old: str) -> Path:
    """Write the old content of `file` to a copy beside it, which only those may read who could."""
    found = file.stat()
    refuse_read_only(file, found)
    copy = file.with_name(f"{file.name}.bak")
    write_copy(copy, old.encode(), found)
    return copy


def _has_others(old: str, new: str) -> bool:
    """Whether `old` has entries that `new` has not, or is no kubeconfig."""
    try:
        before, after = _compose(old), _compose(new)
        return any(
            not {_name(item) for item in _items(before, section).value}
            <= {_name(item) for item in _items(after, section).value}
            for section in SECTIONS
        )
    except (yaml.YAMLError, TypeError):
        return True


def _written(
    plex: Plex, file: Path, text: str, old: str | None, backup: Path | None = None
) -> KubeconfigResult:
    if old != text:
        rewrite(file, text.encode(), 0o600)
    current = _get(_compose(text), CURRENT)
    context = str(current.value) if current else ""
    return KubeconfigResult(plex.name, file, context, old != text, backup)


def _compose(text: str) -> yaml.MappingNode:
    check_yaml(text)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("it is not a mapping")
    return root


def _get(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _set(mapping: yaml.MappingNode, key: str, value: yaml.Node | None) -> None:
    kept = [(name, old) for name, old in mapping.value if name.value != key]
    name = yaml.ScalarNode("tag:yaml.org,2002:str", key)
    mapping.value = [*kept, (name, value)]


def _items(mapping: yaml.MappingNode, key: str) -> yaml.SequenceNode:
    """The list at `key`; an empty one is inserted if there is none."""
    found = _get(mapping, key)
    if found is None or found.tag == "tag:yaml.org,2002:null":
        found = yaml.SequenceNode("tag:yaml.org,2002:seq", [], flow_style=mapping.flow_style)
        _set(mapping, key, found)
    if not isinstance(found, yaml.SequenceNode):
        raise TypeError(f"`{key}` is not a list")
    return found


def _replace_named(old: yaml.SequenceNode, new: yaml.SequenceNode) -> None:
    names = {_name(item) for item in new.value}
    old.value = [item for item in old.value if _name(item) not in names] + new.value


def _name(item: yaml.Node) -> str:
    name = _get(item, "name") if isinstance(item, yaml.MappingNode) else None
    return str(name.value) if name is not None else ""
