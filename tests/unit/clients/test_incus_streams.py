"""Programs in instances: their streams are bytes, and their exit codes arrive."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.streams import Streams, Terminal
from tests.fake_pve.tls import self_signed

from .exec_server import ExecServer, exec_server, https_exec_server

ALL_BYTES = bytes(range(256)) * 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExecServer]:
    with exec_server(tmp_path / "incus.socket") as found:
        yield found


@pytest.fixture
def host(server: ExecServer) -> IncusHost:
    found = IncusHost(HostSpec("local", HostKind.INCUS, str(server.path), "default", 4))
    found.connection.__dict__["api"] = server
    return found


@pytest.fixture
def far(tmp_path: Path) -> Iterator[IncusHost]:
    """A host over HTTPS."""
    pair = self_signed()
    files = Credentials(tmp_path / "server.crt", tmp_path / "server.key")
    files.certificate.write_text(pair.pem)
    files.key.write_text(pair.key_pem)
    with https_exec_server(files.certificate, files.key) as (server, url):
        spec = HostSpec("far", HostKind.INCUS, "", "default", 4, url=url)
        shown = pair.fingerprint.replace(":", "").lower()
        found = IncusHost(replace(spec, certificate=shown), files)
        found.connection.__dict__["api"] = server
        yield found


def sh(
    host: IncusHost, script: str, stdin: int | None = None, timeout: float | None = 120
) -> tuple[int, bytes, bytes]:
    stdout, stderr = io.BytesIO(), io.BytesIO()
    argv = ("sh", "-c", script)
    code = host.run("demo1", argv, Streams(stdin, stdout, stderr), timeout=timeout)
    return code, stdout.getvalue(), stderr.getvalue()


def fed(content: bytes) -> int:
    """A descriptor that reads `content`, then ends."""
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as target:
            target.write(content)

    threading.Thread(target=feed, daemon=True).start()
    return reader


def test_input_and_output_are_bytes(host: IncusHost) -> None:
    assert sh(host, "cat; echo words >&2", fed(ALL_BYTES)) == (0, ALL_BYTES, b"words\n")


def test_a_host_over_https(far: IncusHost) -> None:
    assert sh(far, "cat; exit 3", fed(ALL_BYTES)) == (3, ALL_BYTES, b"")


def test_another_certificate_is_refused(far: IncusHost) -> None:
    assert far.spec.certificate
    other = IncusHost(replace(far.spec, certificate="ab" * 32), far.connection.credentials)
    other.connection.__dict__["api"] = far.connection.api
    with pytest.raises(PlexError, match="it shows another certificate"):
        sh(other, "true")


def test_a_long_stream_arrives_whole(host: IncusHost) -> None:
    content = random.Random(7).randbytes(8 << 20)
    code, out, _ = sh(host, "cat", fed(content))
    assert (code, out == content) == (0, True)


def test_without_input_a_program_reads_its_end(host: IncusHost) -> None:
    assert sh(host, "cat; echo end") == (0, b"end\n", b"")


def test_a_program_that_does_not_read_ends_while_input_stays_open(host: IncusHost) -> None:
    reader, writer = os.pipe()
    assert sh(host, "echo done", reader) == (0, b"done\n", b"")
    os.close(writer)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_code_is_that_of_the_program(host: IncusHost, script: str, code: int) -> None:
    assert sh(host, script)[0] == code


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("no-such-program", 127, b"no-such-program: Command not found\n"),
        ("/etc/passwd", 126, b"/etc/passwd: Command not executable\n"),
    ],
)
def test_a_program_that_cannot_be_started(
    host: IncusHost, program: str, code: int, said: bytes
) -> None:
    stderr = io.BytesIO()
    assert host.run("demo1", (program,), Streams(None, io.BytesIO(), stderr)) == code
    assert stderr.getvalue() == said


def test_a_program_is_killed_after_its_time(host: IncusHost, server: ExecServer) -> None:
    with pytest.raises(
        PlexError, match=r"sh cannot be run on demo1: it did not end within 3 s, and was killed"
    ):
        sh(host, "exec sleep 600", timeout=3)
    assert server.process is not None
    assert server.process.wait(60) == -signal.SIGKILL


def test_a_program_whose_output_nobody_reads_is_ended(host: IncusHost, server: ExecServer) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as closed:
        host.run("demo1", ("yes",), Streams(None, closed, io.BytesIO()), timeout=120)
    assert server.process is not None
    assert server.process.wait(60) == -signal.SIGTERM


def test_an_interrupt_goes_to_the_program(host: IncusHost, server: ExecServer) -> None:
    """As that of Ctrl-C. The program may finish what it does."""

    class Interrupting(io.BytesIO):
        def write(self, content: Any) -> int:
            assert server.waited_for.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
            return super().write(content)

    script = "trap 'exit 3' INT; echo ready; while :; do sleep 0.1; done"
    with pytest.raises(KeyboardInterrupt):
        host.run("demo1", ("sh", "-c", script), Streams(None, Interrupting(), io.BytesIO()))
    assert server.process is not None
    assert server.process.wait(60) == 3


def test_a_terminal(host: IncusHost, server: ExecServer) -> None:
    """It has the name and the size of the one here, echoes, and follows a new size."""
    reader, writer = os.pipe()
    stdout, resized = io.BytesIO(), threading.Event()
    sizes = [(100, 30), (120, 40)]
    terminal = Terminal("xterm-of-test", lambda: sizes.pop(0), resized)

    def type_it() -> None:
        server.ready.wait(60)
        resized.set()
        # What is typed earlier is echoed before the program's own output.
        while not server.resizes or b"xterm-of-test" not in stdout.getvalue():
            server.ended.wait(0.01)
        os.write(writer, b"words\n")

    threading.Thread(target=type_it, daemon=True).start()
    streams = Streams(reader, stdout, io.BytesIO(), terminal)
    script = "stty size; echo $TERM; tty >/dev/null && read word && echo got $word; exit 5"
    assert host.run("demo1", ("sh", "-c", script), streams, timeout=120) == 5
    assert stdout.getvalue().split() == b"30 100 xterm-of-test words got words".split()
    assert server.resizes == [{"width": "120", "height": "40"}]
    os.close(writer)


def test_a_program_may_end_before_its_control_opens(host: IncusHost, server: ExecServer) -> None:
    """The server starts a program without it; `true` may end first."""
    server.slow_control = True
    assert sh(host, "exit 4") == (4, b"", b"")


def test_a_refused_websocket_says_why(host: IncusHost, server: ExecServer) -> None:
    server.ended.set()
    with pytest.raises(PlexError, match="opens no websocket: HTTP status 404") as error:
        sh(host, "true")
    assert "secret-" not in str(error.value)


def test_no_error_has_the_secrets_of_websockets(host: IncusHost, server: ExecServer) -> None:
    server.path.unlink()
    with pytest.raises(PlexError) as error:
        sh(host, "true")
    assert "secret-" not in str(error.value)
    assert "cannot be run on demo1: no Incus at" in error.value.summary
