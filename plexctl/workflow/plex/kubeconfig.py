"""A plex in the user's own kubeconfig. Other entries of that file do not change."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.errors import PlexError
from plexctl.model.files import write_private
from plexctl.model.plex import Plex
from plexctl.results.lab import KubeconfigResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.plex.access import kubeconfig

SECTIONS = ("clusters", "contexts", "users")
CURRENT = "current-context"
ENDLESS = 1 << 20
"""A line width at which YAML folds no line."""


def write(ctx: Context, plex: Plex, file: Path) -> KubeconfigResult:
    """Write the kubeconfig of `plex` to a file of its own."""
    return _written(plex, file, kubeconfig(ctx, plex))


def merge(ctx: Context, plex: Plex) -> KubeconfigResult:
    """Merge the kubeconfig of `plex` into the user's own, and make it the current context.

    A copy of the old file is kept beside it (.bak).
    """
    file = users_file().resolve()
    new = kubeconfig(ctx, plex)
    old = _read(file)
    if old is None or not old.strip():
        return _written(plex, file, new)
    text = merged(old, new, file)
    if text != old:
        write_private(file.with_name(f"{file.name}.bak"), old.encode())
    return _written(plex, file, text)


def users_file() -> Path:
    """The file that kubectl writes to: the first of $KUBECONFIG, or ~/.kube/config."""
    names = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return Path(names[0]) if names else Path.home() / ".kube" / "config"


def merged(old: str, new: str, file: Path) -> str:
    """`old` with the entries and the current context of `new`, which replace those of that name.

    The merge works on nodes of YAML, so that other values keep their exact text. PlexError if
    `old`, which is the content of `file`, is not a kubeconfig.
    """
    try:
        target, source = _compose(old), _compose(new)
        for section in SECTIONS:
            _replace_named(_items(target, section), _items(source, section))
        _set(target, CURRENT, _get(source, CURRENT))
        return yaml.serialize(target, Dumper=yaml.SafeDumper, width=ENDLESS, allow_unicode=True)
    except (yaml.YAMLError, TypeError) as error:
        raise PlexError(
            f"cannot merge into {file}: it is not a kubeconfig",
            details=str(error).splitlines(),
            hint="repair it, or write another file: `plexctl kubeconfig --output FILE`",
        ) from error


def _read(file: Path) -> str | None:
    try:
        return read_regular(file).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise PlexError(f"cannot read {file}: {reason}") from error


def _written(plex: Plex, file: Path, text: str) -> KubeconfigResult:
    changed = _read(file) != text
    if changed:
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise PlexError(f"cannot create {file.parent}: {error.strerror}") from error
        write_private(file, text.encode())
    else:
        file.chmod(0o600)
    current = _get(_compose(text), CURRENT)
    return KubeconfigResult(plex.name, file, str(current.value) if current else "", changed)


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
