"""A cache of the digests of the files that nodes boot with.

The generation of keys and the packing of files take most of the time of planning many nodes. A
comparison needs only the digests, which are stored with a digest of everything that decides them.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import plexctl
from plexctl.model.folder import Folder
from plexctl.model.plex import Plex
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import boot_digest

FILE = "boot.json"
CODE = ("keys", "model", "plan")
"""The parts of the package that decide the files."""


def known_digests(folder: Folder, plex: Plex, inputs: Inputs) -> Mapping[str, str] | None:
    """Digests by node, if the plex' `folder` has them for the same plex and inputs."""
    try:
        found = json.loads(folder.read(FILE) or b"")
        made_of, nodes = found["inputs"], dict[str, str](found["nodes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return nodes if made_of == _digest(plex, inputs) else None


def store_digests(folder: Folder, plan: Plan, inputs: Inputs) -> None:
    nodes = {instance.name: boot_digest(instance) for instance in plan.instances}
    content = json.dumps({"inputs": _digest(plan.plex, inputs), "nodes": nodes})
    folder.write(FILE, content.encode(), 0o600)


def _digest(plex: Plex, inputs: Inputs) -> str:
    """The digest of all inputs of the files. Of the seed it contains the public name.

    If equal values had other bytes, the cache would only be missed.
    """
    values = (
        plexctl.__version__,
        tuple(_code()),
        inputs.seed.lab_id,
        plex,
        inputs.hosts,
        inputs.facts,
        inputs.control_plane_images,
        inputs.registry,
    )
    return hashlib.sha256(pickle.dumps(values)).hexdigest()


def _code() -> Iterator[tuple[str, int, int]]:
    """Each module with its size and modification time, which also decide Python's own cache."""
    package = Path(plexctl.__file__).parent
    for part in CODE:
        for file in sorted((package / part).rglob("*.py")):
            found = file.stat()
            yield str(file.relative_to(package)), found.st_size, found.st_mtime_ns
