"""How nodes are named, and how they are reached."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from plexctl.cli import terminal_streams
from plexctl.clients import process
from plexctl.model.command import CommandResult
from plexctl.model.streams import Streams

from .conftest import Plexctl


@pytest.fixture
def argv(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The program that plexctl has become."""
    program: list[str] = []

    def become(words: list[str]) -> None:
        program[:] = words
        raise SystemExit(0)

    monkeypatch.setattr("plexctl.clients.process.replace", become)
    return program


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """The programs that nodes were asked to run; each answers with its name, and with code 7."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def execute(self: object, name: str, argv: tuple[str, ...], *, timeout: float) -> CommandResult:
        calls.append((name, argv))
        return CommandResult(argv, 0, f"out of {name}\n", "err\n")

    def run(
        self: object, name: str, argv: tuple[str, ...], streams: Streams, *, timeout: float | None
    ) -> int:
        calls.append((name, argv))
        streams.stdout.write(f"out of {name}\n".encode())
        streams.stderr.write(b"err\n")
        return 7

    monkeypatch.setattr("plexctl.clients.incus.host.IncusHost.run", run)
    monkeypatch.setattr("plexctl.clients.incus.host.IncusHost.execute", execute)
    return calls


def test_ssh_uses_only_what_the_lab_has(plexctl: Plexctl, lab: Path, argv: list[str]) -> None:
    assert plexctl("ssh", "alpha2").code == 0
    folder = lab / ".plexctl" / "plexes" / "alpha"
    assert argv == ["ssh", "-F", str(folder / "ssh_config"), "-o", "ConnectTimeout=10", "alpha2"]
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_arguments_after_two_dashes_belong_to_the_command(
    plexctl: Plexctl, lab: Path, argv: list[str], asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    plexctl("ssh", "master", "--plex", "alpha", "--", "ls", "-l", "--plex", "x")
    assert argv[5:] == ["alpha1", "--", "ls", "-l", "--plex", "x"]
    plexctl("exec", "alpha3", "--", "ls", "--help")
    assert asked == [("alpha3", ("ls", "--help"))]


def test_exec_ends_with_the_programs_code(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    ended = plexctl("exec", "beta1", "--", "false")
    assert (ended.code, ended.out, ended.err) == (7, "out of beta1\n", "err\n")


def test_exec_and_logs_answer_in_json(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    ended = plexctl("exec", "beta1", "--json", "--", "false", "--json")
    assert ended.code == 7
    assert json.loads(ended.out) == {
        "version": 1,
        "argv": ["false", "--json"],
        "code": 7,
        "stdout": "out of beta1\n",
        "stderr": "err\n",
    }
    shown = plexctl("logs", "beta1", "-u", "kubelet", "--json")
    assert json.loads(shown.out) == {
        "version": 1,
        "node": "beta1",
        "unit": "kubelet",
        "lines": ["out of beta1"],
    }
    endless = plexctl("logs", "beta1", "-f", "--json")
    assert (endless.code, "--follow and --json exclude each other" in endless.err) == (2, True)


def test_logs_of_a_unit_and_followed(
    plexctl: Plexctl, lab: Path, argv: list[str], asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    shown = plexctl("logs", "alpha1", "--unit", "kubelet", "--lines", "5")
    assert (shown.code, shown.out) == (0, "out of alpha1\n")
    assert asked == [("alpha1", ("journalctl", "--no-pager", "--lines=5", "--unit=kubelet"))]
    plexctl("logs", "alpha1", "-u", "kubelet", "-f")
    assert argv[5:7] == ["alpha1", "--"]
    assert argv[-2:] == ["--unit=kubelet", "--follow"]


def test_the_name_of_a_node_selects_its_plex(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Also against the current plex: no two plexes can have nodes of one name."""
    plexctl("use", "alpha")
    for name in ("beta1", "master"):
        plexctl("exec", name, "--", "true")
    assert [node for node, _ in asked] == ["beta1", "alpha1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("alpha9",), "no plex is named"),
        (("alpha9", "--plex", "alpha"), "plex alpha has no node alpha9"),
        (("beta1", "--plex", "alpha"), "plex alpha has no node beta1"),
        (("master",), "no plex is named"),
    ],
)
def test_unknown_nodes(plexctl: Plexctl, lab: Path, names: tuple[str, ...], said: str) -> None:
    ended = plexctl("logs", *names)
    assert ended.code == 2
    assert said in ended.err


def test_nodes_of_two_plexes_are_not_replaced_together(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("replace", "alpha2", "beta1", "-y")
    assert ended.code == 2
    assert "plex alpha has no node beta1" in ended.err


def test_the_shell_of_a_node_runs_nothing_from_the_name_of_a_unit(
    plexctl: Plexctl, lab: Path, argv: list[str], tmp_path: Path
) -> None:
    """`plexctl logs NODE --follow --unit 'x; touch /tmp/injected; #'` ran touch on the node."""
    evil = f"x; touch {tmp_path}/injected; #"
    plexctl("logs", "alpha1", "--follow", "--unit", evil)
    command = " ".join(argv[argv.index("--") + 1 :])  # as ssh hands it over
    shell = f"journalctl() {{ printf '%s\\n' \"$@\"; }}; {command}"
    printed = process.run(("/bin/sh", "-c", shell), timeout=120).stdout.splitlines()
    assert f"--unit={evil}" in printed
    assert not (tmp_path / "injected").exists()


@pytest.mark.parametrize(
    ("tty", "possible", "expected"),
    [(None, True, True), (None, False, False), (False, True, False), (True, False, True)],
)
def test_a_terminal_is_passed_if_there_is_one_and_restored(
    monkeypatch: pytest.MonkeyPatch, tty: bool | None, possible: bool, expected: bool
) -> None:
    """A host that cannot have one refuses only --tty."""
    near, far = pty.openpty()
    with os.fdopen(near), os.fdopen(far, "w", closefd=False) as ends:
        monkeypatch.setattr("sys.stdin", ends)
        monkeypatch.setattr("sys.stdout", ends)
        before = termios.tcgetattr(far)
        with pytest.raises(KeyError), terminal_streams.own(tty, possible) as streams:
            assert (streams.terminal is not None) is expected
            assert (termios.tcgetattr(far) != before) is expected
            raise KeyError
        assert termios.tcgetattr(far) == before
    os.close(far)


HOLDER = """
import os, signal, sys
from plexctl.cli import terminal_streams
with terminal_streams.own(True, True):
    os.write(1, b"raw")
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    signal.pause()
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_the_modes_of_a_terminal_are_restored_when_plexctl_is_killed(name: str) -> None:
    """Without a shell that does so: a script's does not."""
    near, far = pty.openpty()
    before = termios.tcgetattr(far)
    before[6][termios.VINTR] = b"\x07"  # not what every terminal has
    termios.tcsetattr(far, termios.TCSANOW, before)
    argv = (sys.executable, "-c", HOLDER, name)
    holder = subprocess.Popen(argv, stdin=far, stdout=far, start_new_session=True)
    assert os.read(near, 3) == b"raw"
    assert holder.wait(60) == -getattr(signal, name)
    for _ in range(6000):
        if termios.tcgetattr(far) == before:
            break
        time.sleep(0.01)
    assert termios.tcgetattr(far) == before
    os.close(near)
    os.close(far)


def test_nothing_watches_streams_that_are_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take time."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w") as stdout:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stdout", stdout)
        with terminal_streams.own(None, True) as streams:
            assert streams.terminal is None
