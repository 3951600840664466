"""JSON Schemas of the files of a lab, for editors. `reference` writes them to files."""

from __future__ import annotations

import json
from pathlib import Path

from plexctl.config.fields import BASES, PLEX, TYPE
from plexctl.config.host_fields import HOSTS
from plexctl.config.shape import Schema, Shape

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_KINDS: dict[str, tuple[str, Shape[object]]] = {
    "hosts": ("clusters/hosts.yaml: the machines that run nodes.", HOSTS),
    "plex": (
        "clusters/<plex>/plex.yaml: one Kubernetes cluster. Its folder has the name of the plex.",
        PLEX,
    ),
    "type": ("types/<type>.yaml: a type of nodes.", TYPE),
    "bases": ("types/bases.yaml: the operating systems of types, by name.", BASES),
}


def schemas() -> dict[str, Schema]:
    """The schema of each kind of file: "hosts", "plex", "type", "bases"."""
    return {
        kind: {"$schema": DIALECT, "description": about, **shape.schema()}
        for kind, (about, shape) in _KINDS.items()
    }


def schema_files() -> dict[str, bytes]:
    """The content of each schema's file, by its name."""
    return {
        file_name(kind): (json.dumps(schema, indent=2) + "\n").encode()
        for kind, schema in schemas().items()
    }


def file_name(kind: str) -> str:
    return f"{kind}.schema.json"
