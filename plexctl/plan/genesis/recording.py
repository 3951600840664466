"""Recordings: the documents that clusters of one version of Kubernetes are born with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recording:
    """What is in etcd of a cluster at rest, as `record.reference` returns it."""

    text: str = field(repr=False)  # JSON with holes


@cache
def committed(version: str) -> Recording | None:
    """The recording of a version of Kubernetes that is part of plexctl; None if there is none."""
    file = Path(__file__).with_name(f"kubernetes-{version}.json")
    return Recording(file.read_text()) if file.is_file() else None
