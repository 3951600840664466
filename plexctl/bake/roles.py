"""Digests of the files that the roles of a lab's types consist of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from plexctl.bake.clean import CLEAN, VM_CLEAN
from plexctl.errors import PlexError, UsageError
from plexctl.model.types import NodeType
from plexctl.plan.recipes import BASE, BASE_ROLE

FindRole = Callable[[str], Path]
"""The folder of a role, by name; PlexError if there is none."""

SHARED = ("defaults", "handlers", "meta", "vars")
"""Folders of a role that belong to all of its layers."""


def role_digests(find_role: FindRole, types: Iterable[NodeType]) -> dict[tuple[str, str], str]:
    """For each (role, layer) of `types`: the SHA-256 in hex of all files of that layer.

    It covers names, executable bits and bytes. A layer is `tasks/<layer>.yml`, `files/<layer>/`
    and `templates/<layer>/` of its role: a change in one layer leaves the digests of the others.
    """
    wanted = {(BASE_ROLE, BASE.name)}
    wanted |= {(one.role, layer.name) for one in types for layer in one.layers}
    for role in {role for role, _ in wanted}:
        refuse_links(find_role(role))
    return {(role, layer): _digest(find_role(role), layer) for role, layer in sorted(wanted)}


def refuse_links(role: Path) -> None:
    """UsageError for a link in `role` to a folder, or to anything outside of the role.

    A bake copies what a link leads to into the image, and everybody with the image can read it. The
    digest of a layer does not cover the files in a folder behind a link.
    """
    for at, folders, files in os.walk(role):
        for name in (*folders, *files):
            path = Path(at, name)
            if not path.is_symlink():
                continue
            if not path.is_file() or not path.resolve().is_relative_to(role.resolve()):
                raise UsageError(
                    f"refusing to use role {role.name}: {path} is a symbolic link to"
                    f" {path.readlink()}",
                    hint="replace the link by a copy: links in a role must lead to files in it",
                )


def tasks_file(role: Path, layer: str) -> Path:
    return role / "tasks" / f"{layer}.yml"


def task_count(role: Path, layer: str) -> int:
    """About how many tasks a layer has, to show progress.

    Its YAML is not parsed: it may have tags, or faults that Ansible reports better.
    """
    lines = tasks_file(role, layer).read_bytes().splitlines()
    return max(1, sum(line.startswith(b"- ") for line in lines))


def _digest(role: Path, layer: str) -> str:
    tasks = tasks_file(role, layer)
    if not tasks.is_file():
        raise PlexError(
            f"role {role.name} has no layer {layer!r}",
            hint=f"write {tasks}, or correct the `layers` of the type that names it",
        )
    digest = hashlib.sha256((CLEAN + VM_CLEAN).encode())
    folders = (role / "files" / layer, role / "templates" / layer, *(role / s for s in SHARED))
    for path in (tasks, *(file for folder in folders for file in _files(folder))):
        executable = path.stat().st_mode & 0o100
        content = path.read_bytes()
        name = path.relative_to(role).as_posix()
        digest.update(f"\0{name}\0{executable:o}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
