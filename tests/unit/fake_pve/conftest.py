"""A fake with one node, and a client of it with all rights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_pve import FakePve
from tests.unit.fake_pve.support import Client


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve() as fake:
        yield fake


@pytest.fixture
def client(pve: FakePve, tmp_path: Path) -> Client:
    return Client(pve, tmp_path)
