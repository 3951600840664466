"""Adding a Proxmox host to a lab: the command, and the resulting files of the lab."""

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
