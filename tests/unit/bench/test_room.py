"""Whether there is room for many nodes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.bench import machine as of_machine
from tests.bench import room

KEYS = "kernel.keys.maxkeys"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A machine with this many keys, used keys, and MiB; two instances run."""
    has = {"keys": 20000.0, "taken": 100.0, "memory": 20000.0}
    listed = SimpleNamespace(stdout="RUNNING\nSTOPPED\nRUNNING\n")
    monkeypatch.setattr(room, "run", lambda *_, **__: listed)
    monkeypatch.setattr(
        room, "read_limits", lambda: ({KEYS: int(has["keys"])}, {KEYS: int(has["taken"])})
    )
    monkeypatch.setattr(of_machine, "available", lambda: has["memory"])
    return has


def test_there_is_room(machine: dict[str, float]) -> None:
    assert room.lacking(129) == ""


def test_a_limit_of_the_kernel_is_named_with_what_lifts_it(machine: dict[str, float]) -> None:
    machine["keys"] = 200

    said = room.lacking(65)

    assert said.startswith(f"{KEYS} is 200, and 67 nodes need about ")
    assert f": sysctl -w {KEYS}=" in said
    assert room.lacking(1) == ""


def test_too_little_memory(machine: dict[str, float]) -> None:
    machine["memory"] = 4000

    assert room.lacking(65) == "65 nodes need about 9100 MiB of memory, 4000 are free"
