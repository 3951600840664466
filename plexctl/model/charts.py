"""Helm charts."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EXACT = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, slots=True)
class Chart:
    """A packed chart of one version, in a repository with an index or in an OCI registry."""

    name: str
    version: str
    repository: str  # "https://charts.example.org", "oci://ghcr.io/example/charts"

    @property
    def exact(self) -> bool:
        """Whether the version is a single version, not a range."""
        return bool(_EXACT.fullmatch(self.version))

    def __str__(self) -> str:
        return f"{self.repository.rstrip('/')}/{self.name}:{self.version}"
