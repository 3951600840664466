"""Runs other programs. Nothing else in the package starts a process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from plexctl.clients.environment import environment, users_environment
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult

LAST_LINES = 12
GRACE = 5.0
"""Seconds that an interactive program has to end after SIGTERM."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    hint: str | None = None,
    private: bool = False,
    pass_fds: Sequence[int] = (),
) -> CommandResult:
    """Run a program to its end.

    `env` is the whole environment, by default `environment()`. It must contain no secret: pass one
    by `stdin`, or in a memory file by `pass_fds`. PlexError with the last lines of the output (with
    `private`, without any) if the program cannot be started, takes longer than `timeout` seconds,
    or (unless `check` is false) ends with another code than 0.
    """
    words = tuple(str(word) for word in argv)
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environment() if env is None else env,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            check=False,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as error:
        raise PlexError(f"the program {words[0]} is not installed", hint=hint) from error
    except OSError as error:
        raise PlexError(f"cannot run {words[0]}: {error.strerror}", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise PlexError(
            f"{_shown(words)} did not end within {timeout:.0f} s",
            details=() if private else _tail(error.stderr or error.stdout or b""),
            hint=hint,
        ) from error
    finished = CommandResult(
        words,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )
    if check and finished.code != 0:
        raise PlexError(
            f"{_shown(words)} failed with code {finished.code}",
            details=() if private else _tail(done.stderr or done.stdout),
            hint=hint,
        )
    return finished


def stream(
    argv: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    patience: float | None = None,
) -> int:
    """Run a program and call `on_line` with each line of its output (both streams).

    Returns its exit code. The program ends with this one. There is no time limit: the caller can
    raise from `on_line`. With `patience` the program is interrupted once and has that many seconds
    to finish; then, or at a second exception, it and its children are killed. Children of a program
    that was killed are killed too.
    """
    words = tuple(str(word) for word in argv)
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=pass_fds,
            # Ctrl-C in a terminal would be a second interrupt for it, which ends it at once.
            process_group=None if patience is None else 0,
        )
    except FileNotFoundError as error:
        raise PlexError(f"the program {words[0]} is not installed") from error
    except OSError as error:
        raise PlexError(f"cannot run {words[0]}: {error.strerror}") from error
    with process, _orphans_killed(process, patience):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                on_line(line.rstrip("\n"))
        except BaseException:
            if patience is None:
                process.terminate()
            else:
                _end_group(process, patience)
            raise
    return process.returncode


@contextmanager
def _orphans_killed(process: subprocess.Popen[str], patience: float | None) -> Iterator[None]:
    """Kill the children of a program that was killed.

    They may hold the other end of the output, which would never end.
    """

    def kill() -> None:
        if process.wait() < 0:
            _kill_group(process)

    if patience is None:
        yield
        return
    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    yield
    watch.join()


def _end_group(process: subprocess.Popen[str], patience: float) -> None:
    process.send_signal(signal.SIGINT)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=patience)
    finally:
        _kill_group(process)


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def nothing_left_of(folder: Path) -> Iterator[None]:
    """On exit, kill all processes with `folder` in their arguments, and their children.

    For Ansible: each of its workers has its own session, and the library ends a play by its process
    group, which does not include them.
    """
    try:
        yield
    finally:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                if os.fsencode(folder) not in (process / "cmdline").read_bytes():
                    continue
                group = os.getpgid(number := int(process.name))
                if group == os.getpgrp():  # with the terminal, a play is in our own
                    os.kill(number, signal.SIGKILL)
                else:
                    os.killpg(group, signal.SIGKILL)


@contextmanager
def deleted_at_exit(folder: Path) -> Iterator[int]:
    """Delete `folder` as soon as this process ends within the block, also by SIGKILL.

    The descriptor that it yields may be passed to programs: the folder stays until they have ended
    too.
    """
    # The folder is no argument: `nothing_left_of` would kill the shell.
    variables = {"FOLDER": str(folder.absolute())}
    with _at_exit('exec rm -rf -- "$FOLDER"', variables, subprocess.DEVNULL) as pipe:
        yield pipe  # afterwards the caller deletes the folder, and reports what it cannot delete


@contextmanager
def modes_restored_at_exit(terminal: int) -> Iterator[None]:
    """Restore the modes of a terminal if this process ends within the block, also by SIGKILL.

    `terminal` is a descriptor. After a program that was killed, only an interactive shell restores
    the modes, and not every one does.
    """
    *flags, _, _, characters = termios.tcgetattr(terminal)
    codes = (ord(one) if isinstance(one, bytes) else one for one in characters)
    modes = ":".join(f"{number:x}" for number in (*flags, *codes))  # as `stty -g` prints them
    with _at_exit('exec stty "$MODES" <&1', {"MODES": modes}, terminal):
        yield


@contextmanager
def _at_exit(command: str, variables: Mapping[str, str], stdout: int) -> Iterator[int]:
    """Run a command of the shell as soon as this process ends within the block, also by SIGKILL.

    A shell waits for the end of a pipe. Only this process has the other end, and programs that it
    passes the descriptor to.
    """
    watch = subprocess.Popen(
        ("/bin/sh", "-c", f"read -r word; {command}"),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**variables, "PATH": os.defpath},
        start_new_session=True,  # neither Ctrl-C nor the end of a terminal ends it first
    )
    assert watch.stdin is not None
    try:
        yield watch.stdin.fileno()
    finally:
        watch.kill()
        watch.wait()
        watch.stdin.close()


def interactive(argv: Sequence[str | Path]) -> int:
    """Run an interactive program such as an editor; returns its exit code.

    Ctrl-C goes to that program. It ends with this one, and never prints to a redirected stdout.
    """
    words = tuple(str(word) for word in argv)
    # A handler instead of SIG_IGN, which the program would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(
            words, env=users_environment(), stdout=None if os.isatty(1) else 2
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
    except OSError as error:
        raise PlexError(f"cannot run {words[0]}: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)


def replace(argv: Sequence[str | Path]) -> None:
    """Replace this process by another program, for an interactive `ssh`. Does not return."""
    words = [str(word) for word in argv]
    try:
        os.execvpe(words[0], words, users_environment())  # noqa: S606 - that is what it is for
    except FileNotFoundError as error:
        raise PlexError(f"the program {words[0]} is not installed") from error
    except OSError as error:
        raise PlexError(f"cannot run {words[0]}: {error.strerror}") from error


def _shown(words: tuple[str, ...]) -> str:
    text = shlex.join(words)
    return text if len(text) <= 120 else text[:117] + "..."


def _tail(output: bytes) -> tuple[str, ...]:
    return tuple(output.decode(errors="replace").splitlines()[-LAST_LINES:])
