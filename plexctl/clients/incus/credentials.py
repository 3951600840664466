"""What plexctl shows an Incus server on another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client certificate that plexctl shows over HTTPS: files in PEM; the key is private."""

    certificate: Path
    key: Path
