"""What a user types to add a Proxmox to a lab, and what the lab has of it then."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TOKEN = "plexctl@pve!lab"


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{text}\n".encode())))


def entry(lab: Path, name: str) -> dict[str, Any]:
    found = yaml.safe_load((lab / "clusters" / "hosts.yaml").read_text())["hosts"][name]
    assert isinstance(found, dict)
    return found
