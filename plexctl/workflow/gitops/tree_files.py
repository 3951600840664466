"""The files below apps/ and clusters/ that `plexctl flux push` publishes.

Everybody who reaches the lab's registry can read them. So a link is an error: it could lead to any
file of the user.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import yaml

from plexctl.config.bounded import TREE_NODES, check_yaml
from plexctl.errors import UsageError
from plexctl.model.folder import EntryKind, Folder

FOLDERS = ("apps", "clusters")

OWN = (
    "clusters/hosts.yaml",
    "clusters/seed.age",
    "clusters/hosts/*.token.age",
    "clusters/*/plex.yaml",
    "clusters/*/source-token.age",
    "clusters/*/backup-key.age",
)
"""plexctl's own files. A change of the number of workers must not change the artifact."""

SOURCE_IGNORE = ".sourceignore"
"""The hidden file that Flux itself reads."""

KEY = re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40}")

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
PATHS = (
    "resources",
    "components",
    "bases",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "replacements",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "openapi",
)
"""Fields of a kustomization with paths of files in them."""


def tree_files(root: Path) -> dict[str, bytes]:
    """The content of each file to publish, by its path in the lab.

    Hidden files, plexctl's own files and other files that end with .age are left out. UsageError
    for a link, for a file with a private key of age, and if a kustomization names a file that is
    left out.
    """
    files: dict[str, bytes] = {}
    for name in FOLDERS:
        files.update(_walk(Folder(root, (name,)), PurePosixPath(name)))
    if keys := [path for path, content in files.items() if KEY.search(content)]:
        raise UsageError(
            "nothing was pushed: a file contains a private key of age",
            details=keys,
            hint="delete the file: everybody who reaches the registry could read it",
        )
    if missing := list(_left_out_references(root, files)):
        raise UsageError(
            "nothing was pushed: a kustomization names a file that plexctl does not push",
            details=(f"{file}: {reference}" for file, reference in missing),
            hint="plexctl pushes files of apps/ and clusters/, except its own, hidden files and"
            " *.age: rename or move the file",
        )
    return files


def _walk(folder: Folder, path: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    for name, kind in folder.entries():
        inner = path / name
        if _is_left_out(inner):
            continue
        if kind is EntryKind.FOLDER:
            yield from _walk(folder.below(name), inner)
        elif kind is EntryKind.FILE:
            yield str(inner), folder.read(name) or b""
        elif kind is EntryKind.LINK:
            raise UsageError(
                f"nothing was pushed: {inner} is a symbolic link to"
                f" {(folder.path / name).readlink()}",
                hint="replace the link by a copy: plexctl pushes files, and follows no links",
            )
        else:
            raise UsageError(
                f"nothing was pushed: {inner} is neither a file nor a folder", hint="delete it"
            )


def _is_left_out(path: PurePosixPath) -> bool:
    if path.name != SOURCE_IGNORE and path.name.startswith("."):
        return True
    return path.suffix == ".age" or any(_matches(path, pattern) for pattern in OWN)


def _matches(path: PurePosixPath, pattern: str) -> bool:
    """Whether the whole path matches: `match` compares only its end."""
    return len(path.parts) == pattern.count("/") + 1 and path.match(pattern)


def _left_out_references(root: Path, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Each kustomization with a path of a file that exists and is not among `files`."""
    folders = {str(folder) for file in files for folder in PurePosixPath(file).parents}
    for file, content in files.items():
        if PurePosixPath(file).name not in KUSTOMIZATIONS:
            continue
        for reference in _references(content):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), reference))
            if path not in files and path not in folders and os.path.lexists(root / path):
                yield file, reference


def _references(content: bytes) -> Iterator[str]:
    """Texts that may be paths. `plain_secrets` reports a kustomization that is not valid."""
    try:
        check_yaml(content, most_nodes=TREE_NODES)
        kustomization = yaml.load(content, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    if isinstance(kustomization, dict):
        for field in PATHS:
            yield from _texts(kustomization.get(field))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str() if "\n" not in value and "\0" not in value and len(value) < 1024:
            # Generators name files as `path` and as `key=path`.
            yield value
            if "=" in value:
                yield value.partition("=")[2]
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for one in value.values():
                yield from _texts(one)
