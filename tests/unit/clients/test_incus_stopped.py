"""A server that is stopped is reported at once; one that may be restarting is waited for."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.clients.incus import connection as incus_connection
from plexctl.clients.incus import stopped
from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.credentials import Credentials
from plexctl.errors import UnreachableHostError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from tests.fake_pve.tls import self_signed

from .tls_server import closed


@pytest.fixture
def here(tmp_path: Path) -> Iterator[HostSpec]:
    """The socket of a daemon that was stopped: the file is left, and nobody listens."""
    path = str(tmp_path / "unix.socket")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
        yield HostSpec("local", HostKind.INCUS, path, "default", 4)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between two attempts to connect."""
    found: list[float] = []
    real, own = time.sleep, threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() == own:  # and not a thread that an earlier test has left
            found.append(seconds)
        real(0.01)

    monkeypatch.setattr("plexctl.clients.incus.connection.time.sleep", sleep)
    return found


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states of Incus' unit, one after another; the last one stays."""
    found = ["inactive"]
    monkeypatch.setattr(stopped, "unit_state", lambda: found.pop(0) if len(found) > 1 else found[0])
    return found


def error_of(spec: HostSpec, credentials: Credentials | None = None) -> UnreachableHostError:
    with pytest.raises(UnreachableHostError) as error:
        IncusConnection(spec, credentials).connect()
    return error.value


def test_a_stopped_daemon_of_this_machine_is_reported_at_once(
    here: HostSpec, pauses: list[float], states: list[str]
) -> None:
    error = error_of(here)
    assert error.summary == f"host local: Incus at {here.socket} does not answer"
    assert error.details == ("connection refused",)
    assert str(error.hint).startswith("`sudo systemctl start incus.service`")
    assert pauses == []


def test_a_daemon_without_systemd_is_reported_at_once(
    here: HostSpec, pauses: list[float], states: list[str]
) -> None:
    states[:] = [""]
    assert error_of(here).hint == stopped.START_IT
    assert pauses == []


def test_a_daemon_whose_unit_restarts_is_waited_for_until_the_unit_fails(
    here: HostSpec, pauses: list[float], states: list[str]
) -> None:
    states[:] = ["deactivating", "activating", "activating", "failed"]
    error_of(here)
    assert len(pauses) == 3


def test_a_socket_that_its_unit_has_not_created_yet_is_waited_for(
    here: HostSpec, pauses: list[float], states: list[str]
) -> None:
    Path(here.socket).unlink()
    states[:] = ["activating", "activating", "activating", "failed"]
    error_of(here)
    assert len(pauses) == 3
    states[:] = ["inactive"]
    pauses.clear()
    assert error_of(here).summary == f"host local: no Incus at {here.socket}"
    assert pauses == []


def test_a_daemon_that_hangs_in_its_start_is_to_be_restarted(
    here: HostSpec, pauses: list[float], states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incus_connection, "CONNECT", 0.1)
    states[:] = ["activating"]
    assert "`sudo systemctl restart incus.service`" in str(error_of(here).hint)
    assert pauses


def test_another_machines_server_is_waited_for_once(
    tmp_path: Path, pauses: list[float], state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first command. It delayed each one by ten seconds."""
    monkeypatch.setattr(incus_connection, "CONNECT", 0.5)
    pair = self_signed()
    credentials = Credentials(tmp_path / "client.crt", tmp_path / "client.key")
    credentials.certificate.write_text(pair.pem)
    credentials.key.write_text(pair.key_pem)
    with closed() as port:
        url = f"https://127.0.0.1:{port}"
        far = HostSpec("far", HostKind.INCUS, "", "default", 4, url=url, certificate="ab" * 32)
        assert error_of(far, credentials).details == ("connection refused",)
        assert pauses
        pauses.clear()
        assert error_of(far, credentials).hint == stopped.CHECK_MACHINE
        assert pauses == []

        (record,) = (state_home / "plexctl" / "refused").iterdir()
        for text in (str(time.time() - stopped.LATELY - 1), str(time.time() + 60), "x", "nan"):
            record.write_text(text)
            error_of(far, credentials)
            assert pauses, text
            pauses.clear()


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ("LoadState=loaded\nActiveState=activating\n", "activating"),
        ("LoadState=not-found\nActiveState=inactive\n", ""),
        ("Failed to connect to bus", ""),
    ],
)
def test_the_state_is_that_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, state: str
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\nprintf '%s' '{printed}'\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(stopped, "MANAGED", tmp_path)
    assert stopped.unit_state() == state
    monkeypatch.setattr(stopped, "MANAGED", tmp_path / "none")
    assert stopped.unit_state() == ""
