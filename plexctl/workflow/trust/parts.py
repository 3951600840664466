"""The parts of a lab that decide which programs run on this machine.

Parts that plexctl brings with it, and copies of those without a change, are not among them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from plexctl.config.builtin import builtin
from plexctl.errors import UsageError
from plexctl.model.folder import EntryKind, Folder, lab_file

ROLES, PINS, BASES = "roles", "pins", "bases.yaml"


class PartKind(StrEnum):
    """The value says what plexctl does with such a part."""

    ROLE = "Ansible applies it; its tasks can run programs on this machine"
    PINS = "decides which programs plexctl downloads or builds; some run on this machine"
    BASES = "decides which operating systems images are baked from; debootstrap runs as root"
    CHART = "Helm downloads this chart and executes its templates"


@dataclass(frozen=True, slots=True)
class LabPart:
    """A part of a lab. `files` are digests (SHA-256 in hex) by paths below the lab."""

    name: str  # "roles/box", "pins", "types/bases.yaml", "apps/velero/release.yaml"
    kind: PartKind
    files: Mapping[str, str]


def lab_parts(root: Path, kinds: Collection[PartKind] = tuple(PartKind)) -> tuple[LabPart, ...]:
    """The parts of `kinds` of the lab at `root`. Without any, this takes a few stat calls.

    UsageError for a link that plexctl would not follow either, and for anything but files.
    """
    found: list[LabPart] = []
    if PartKind.ROLE in kinds and _is_own(root, ROLES):
        found += _roles(root)
    if PartKind.PINS in kinds and os.path.lexists(root / PINS):
        found.append(LabPart(PINS, PartKind.PINS, dict(_files(Folder(root, (PINS,)), PINS))))
    if PartKind.BASES in kinds and _is_own(root, "types"):
        found += _single(root, root / "types" / BASES, PartKind.BASES)
    if PartKind.CHART in kinds and _is_own(root, "apps"):
        from plexctl.workflow.gitops.release_files import release_files

        for file in release_files(root).values():
            found += _single(root, file, PartKind.CHART)
    return tuple(part for part in found if part.files)


def _is_own(root: Path, kind: str) -> bool:
    """Whether the lab has a folder `kind` that is not plexctl's own, as in its checkout."""
    folder, ours = root / kind, builtin(kind)
    if not os.path.lexists(folder):
        return False
    return not (folder.exists() and ours.exists() and folder.samefile(ours))


def _roles(root: Path) -> Iterator[LabPart]:
    for name, kind in Folder(root, (ROLES,)).entries():
        if kind not in (EntryKind.FOLDER, EntryKind.LINK):
            continue
        place, last = lab_file(root, root / ROLES / name)
        folder, role = place.below(last), f"{ROLES}/{name}"
        files = dict(_files(folder, role, folder.path))
        ours = builtin(ROLES) / name
        if ours.is_dir() and files == dict(_files(Folder(ours), role, ours)):
            continue
        yield LabPart(role, PartKind.ROLE, files)


def _single(root: Path, file: Path, kind: PartKind) -> Iterator[LabPart]:
    """The part that consists of one file, if it exists."""
    if not os.path.lexists(file):
        return
    relative = file.relative_to(root)
    folder, name = lab_file(root, file)
    content = folder.read(name)
    if content is None:  # a link to nothing, which verbs that read the file report
        return
    ours = builtin(relative.parts[0]).joinpath(*relative.parts[1:])
    if ours.is_file() and ours.read_bytes() == content:
        return
    yield LabPart(str(relative), kind, {str(relative): _sha256(content)})


def _files(folder: Folder, name: str, role: Path | None = None) -> Iterator[tuple[str, str]]:
    """The paths below `name` and the digests of all files in `folder`.

    A digest covers the bytes, and whether the file is executable. In the folder of a `role`, links
    to files of that role are listed with their targets; any other link is a UsageError.
    """
    for entry, kind in folder.entries():
        path, below = folder.path / entry, f"{name}/{entry}"
        if kind is EntryKind.FOLDER:
            yield from _files(folder.below(entry), below, role)
        elif kind is EntryKind.FILE:
            executable = b"x" if path.lstat().st_mode & stat.S_IXUSR else b"-"
            yield below, _sha256(executable, folder.read(entry) or b"")
        elif kind is EntryKind.LINK and role is not None and _stays_in(role, path):
            yield below, _sha256(b"l", os.fsencode(path.readlink()))
        else:
            target = f"a symbolic link to {path.readlink()}" if path.is_symlink() else "not a file"
            raise UsageError(
                f"refusing to use {path}: it is {target}", hint="replace it by a file, or delete it"
            )


def _stays_in(role: Path, link: Path) -> bool:
    return link.is_file() and link.resolve().is_relative_to(role.resolve())


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
