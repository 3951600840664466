"""What was computed before and comes out the same: digests of the files that nodes boot with.

Making keys and packing files is most of what planning many nodes takes, and what only compares
needs no more than their digests. They are remembered with a digest of all that decides them.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import plexctl
from plexctl.model.files import write_atomic
from plexctl.model.plex import Plex
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import boot_digest

FILE = "boot.json"
CODE = ("keys", "model", "plan")
"""The parts of the package that make the files."""


def known_digests(folder: Path, plex: Plex, inputs: Inputs) -> Mapping[str, str] | None:
    """By name of node, if they were written for the same plex and inputs; `folder` is a plex'."""
    try:
        found = json.loads((folder / FILE).read_text())
        made_of, nodes = found["inputs"], dict[str, str](found["nodes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return nodes if made_of == _digest(plex, inputs) else None


def store_digests(folder: Path, plan: Plan, inputs: Inputs) -> None:
    nodes = {instance.name: boot_digest(instance) for instance in plan.instances}
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"inputs": _digest(plan.plex, inputs), "nodes": nodes})
    write_atomic(folder / FILE, content.encode(), 0o600)


def _digest(plex: Plex, inputs: Inputs) -> str:
    """Of all that decides the files; the seed by its public name. The same by chance: never.

    Other bytes for the same values would only cost the time that is saved here.
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
    """Each module with its size and its time of modification, by which Python sees a change too."""
    package = Path(plexctl.__file__).parent
    for part in CODE:
        for file in sorted((package / part).rglob("*.py")):
            found = file.stat()
            yield str(file.relative_to(package)), found.st_size, found.st_mtime_ns
