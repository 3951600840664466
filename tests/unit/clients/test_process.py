"""Programs that cannot run, that have time to end, and their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plexctl.clients import process
from plexctl.clients.ssh import SshClient
from plexctl.errors import PlexError

GENTLE = """
import signal, sys
def end(*_):
    print("asked", file=open(sys.argv[1], "a"))
    sys.exit(0)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
signal.pause()
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=-3)
print(child.pid, flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(600)
"""


class StoppedError(Exception):
    pass


def stop(_: str) -> None:
    raise StoppedError


def gone(number: int) -> bool:
    """Whether a process has ended, at the latest in a moment."""
    for _ in range(3000):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    "start",
    [
        lambda argv: process.run(argv, timeout=120),
        lambda argv: process.stream(argv, lambda _: None),
        process.interactive,
        process.replace,
    ],
)
@pytest.mark.parametrize(
    ("mode", "said"), [(0o644, "Permission denied"), (0o755, "Exec format error")]
)
def test_a_file_that_the_system_cannot_run_is_an_error(
    tmp_path: Path, start: Callable[[tuple[str, ...]], object], mode: int, said: str
) -> None:
    """As in a cache without `exec`, or one of a machine with another processor."""
    program = tmp_path / "tofu"
    program.write_bytes(b"\x7fELF of another kind")
    program.chmod(mode)
    with pytest.raises(PlexError, match=f"cannot run {program}: {said}"):
        start((str(program),))


def test_it_is_interrupted_once_and_may_finish(tmp_path: Path) -> None:
    signals = tmp_path / "signals"
    with pytest.raises(StoppedError):
        process.stream((sys.executable, "-c", GENTLE, signals), stop, patience=60)

    assert signals.read_text() == "asked\n"


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    started: list[int] = []

    def stop_later(line: str) -> None:
        started.append(int(line))
        raise StoppedError

    with pytest.raises(StoppedError):
        process.stream((sys.executable, "-c", STUBBORN, tmp_path), stop_later, patience=0.2)

    assert gone(started[0])


def test_children_of_a_killed_program_are_killed_too(tmp_path: Path) -> None:
    started: list[str] = []
    code = process.stream(
        (sys.executable, "-c", STUBBORN, tmp_path, "die"), started.append, patience=60
    )

    assert code == -signal.SIGKILL
    assert gone(int(started[0]))


def test_ctrl_c_of_a_terminal_does_not_reach_it() -> None:
    groups: list[str] = []
    shown = "import os; print(os.getpgid(0), os.getpid())"
    process.stream((sys.executable, "-c", shown), groups.append, patience=60)

    group, number = groups[0].split()
    assert group == number != str(os.getpgid(0))


def test_a_process_of_our_own_group_is_killed_alone(tmp_path: Path) -> None:
    words = (sys.executable, "-c", "print(flush=True); import time; time.sleep(60)", str(tmp_path))
    with process.nothing_left_of(tmp_path):
        started = subprocess.Popen(words, stdout=subprocess.PIPE)
        # For a moment it is there without its own arguments.
        assert started.stdout
        started.stdout.readline()
    assert started.wait(60) == -signal.SIGKILL


def test_the_address_of_a_machine_is_never_an_option_of_ssh(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(process, "run", lambda argv, **_: calls.append(argv))
    machine = SshClient("10.0.0.1", "-oProxyCommand=touch /tmp/x;")
    machine.run("true", timeout=1)
    machine.feed("cat", b"", timeout=1)
    machine.send(tmp_path, "/x", timeout=1)
    for argv in calls:
        assert "ProxyCommand" in argv[argv.index("--") + 1 + (argv[0] == "scp")]


WATCHED = """
import subprocess, sys, time
from pathlib import Path
from plexctl.clients.process import deleted_at_exit
with deleted_at_exit(Path(sys.argv[1])) as descriptor:
    child = subprocess.Popen(["sleep", "600"], pass_fds=(descriptor,), stdout=-3)
    print(child.pid, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_deleted_when_all_who_need_it_are_killed(tmp_path: Path) -> None:
    """As with OpenTofu, which outlives a plexctl that was killed, and reads boot files."""
    folder = tmp_path / "boot"
    folder.mkdir()
    (folder / "demo1.tar").write_text("keys")
    argv = (sys.executable, "-c", WATCHED, str(folder))
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    time.sleep(0.3)
    assert folder.exists()
    os.kill(child, signal.SIGKILL)
    for _ in range(6000):
        if not folder.exists():
            break
        time.sleep(0.01)
    assert not folder.exists()
