"""Programs in instances whose input and output are streams, over the websockets of the server.

The protocol is that of `incus exec`: one websocket for each stream, and one for control. An empty
text message ends a stream; bytes are in binary messages. With a terminal, input and output share a
websocket.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import websocket
from pylxd.exceptions import LXDAPIException

from plexctl.clients.incus.connection import (
    CONNECT,
    RUNNING,
    IncusConnection,
    reason_of,
)
from plexctl.clients.pinned import pinned_socket
from plexctl.errors import PlexError
from plexctl.model.streams import Streams, Terminal

CHUNK = 1 << 16
"""Bytes that are read from standard input at once."""

GRACE = 5.0
"""Seconds that a program has to end after plexctl was interrupted; then the server kills it."""

UNSTARTED = {"Command not found": 127, "Command not executable": 126}
"""Errors of the server for programs that it cannot start; the exit codes that a shell gives."""

BROKEN = (websocket.WebSocketException, OSError)
"""Exceptions of a websocket that the server has ended."""


def run(
    connection: IncusConnection,
    name: str,
    argv: tuple[str, ...],
    streams: Streams,
    timeout: float | None,
) -> int:
    """Run a program in an instance to its end; returns its exit code (see `Host.run`).

    BrokenPipeError if nobody reads `streams.stdout`: the program gets SIGTERM then.
    """
    terminal = streams.terminal
    body: dict[str, object] = {
        "command": list(argv),
        "wait-for-websocket": True,
        "interactive": terminal is not None,
    }
    if terminal is not None:
        columns, lines = terminal.size()
        body |= {"width": columns, "height": lines, "environment": {"TERM": terminal.name}}
    with connection.failing_as(f"{argv[0]} cannot be run on {name}"), ExitStack() as ends:
        begun = connection.api.instances[name].exec.post(json=body).json()
        operation = str(begun["operation"]).partition("?")[0].rpartition("/")[2]
        secrets = begun["metadata"]["metadata"]["fds"]
        opened = {
            stream: ends.enter_context(_opened(connection, operation, secrets[stream]))
            # The server starts the program when all others are open: it may end before this one.
            for stream in ("control", *sorted(secrets.keys() - {"control"}))
        }
        program = _Program(connection, operation, opened["control"])
        if terminal is None:
            threads = [
                _started(_receive, opened["1"], streams.stdout, program),
                _started(_receive, opened["2"], streams.stderr, program),
            ]
            _started(_send, streams.stdin, opened["0"])
        else:
            threads = [_started(_converse, opened["0"], streams, program)]
            _started(_resize, terminal, program)
        code, said = program.ended(timeout)
        for thread in threads:
            thread.join()
    if program.failures:
        raise program.failures[0]
    if said:  # why the program was not started
        streams.stderr.write(f"{argv[0]}: {said}\n".encode())
        streams.stderr.flush()
    return code


@dataclass(frozen=True, slots=True)
class _Program:
    """A program that the server runs."""

    connection: IncusConnection
    operation: str
    control: websocket.WebSocket
    failures: list[OSError] = field(default_factory=list)  # of streams of this machine
    sending: threading.Lock = field(default_factory=threading.Lock)

    def ended(self, timeout: float | None) -> tuple[int, str]:
        """Wait for the end: the exit code, and why the server could not start the program."""
        limit = math.inf if timeout is None else timeout
        try:
            done = self.connection.ended(self.operation, limit)
        except LXDAPIException as error:
            said = reason_of(error)
            if said in UNSTARTED:
                return UNSTARTED[said], said
            self.kill(signal.SIGKILL)
            if "deadline exceeded" in said:
                raise _late(timeout) from error
            raise
        except Exception:
            raise
        except BaseException as error:
            self.kill(getattr(error, "number", signal.SIGINT))
            with suppress(PlexError):
                self.connection.ended(self.operation, GRACE)
            raise
        if done["status_code"] == RUNNING:
            self.kill(signal.SIGKILL)
            raise _late(timeout)
        code = (done["metadata"] or {}).get("return")
        if code is None or int(code) < 0:
            raise PlexError(done.get("err") or f"the operation is {done['status']}")
        return int(code), ""

    def kill(self, number: int) -> None:
        self.command({"command": "signal", "signal": int(number)})

    def resize(self, columns: int, lines: int) -> None:
        size = {"width": str(columns), "height": str(lines)}
        self.command({"command": "window-resize", "args": size})

    def command(self, body: dict[str, object]) -> None:
        with self.sending, suppress(*BROKEN):  # the program may have ended
            self.control.send(json.dumps(body))

    def failed(self, error: OSError) -> None:
        """A stream of this machine is closed."""
        if not self.failures:
            self.failures.append(error)
            self.kill(signal.SIGTERM)  # programs that Incus starts may ignore SIGPIPE


def _late(timeout: float | None) -> PlexError:
    return PlexError(f"it did not end within {timeout:.0f} s, and was killed")


def _started(work: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread


def _receive(source: websocket.WebSocket, target: BinaryIO, program: _Program) -> None:
    """Write what arrives. What cannot be written is still read: the program must not hang."""
    while content := _message(source):
        _write(target, content, program)


def _write(target: BinaryIO, content: bytes, program: _Program) -> None:
    if program.failures:
        return
    try:
        target.write(content)
        target.flush()
    except OSError as error:
        program.failed(error)


def _message(source: websocket.WebSocket) -> bytes:
    """The next bytes of a stream; b"" at its end."""
    while True:
        try:
            kind, content = source.recv_data()
        except BROKEN:
            return b""
        if kind != websocket.ABNF.OPCODE_BINARY:
            return b""
        if content:
            return bytes(content)


def _send(source: int | None, target: websocket.WebSocket) -> None:
    """Send standard input, then its end."""
    with suppress(*BROKEN):  # the program may end before its input does
        while source is not None and (content := _read(source)):
            target.send_binary(content)
        target.send("")


def _read(source: int) -> bytes:
    try:
        return os.read(source, CHUNK)
    except OSError:  # closed, or a terminal that is gone
        return b""


def _converse(both: websocket.WebSocket, streams: Streams, program: _Program) -> None:
    """Send and receive in one thread: a TLS connection is not safe in two."""
    source = streams.stdin
    while True:
        waiting = [both.sock, *(() if source is None else (source,))]
        pending = getattr(both.sock, "pending", lambda: 0)()
        ready = [both.sock] if pending else select.select(waiting, (), ())[0]
        if both.sock in ready:
            if not (content := _message(both)):
                with suppress(*BROKEN):  # the server waits for that
                    both.send("")
                    both.send_close()
                return
            _write(streams.stdout, content, program)
        elif source is not None:
            typed = _read(source)
            with suppress(*BROKEN):
                if typed:
                    both.send_binary(typed)
                else:
                    both.send("")
            source = source if typed else None


def _resize(terminal: Terminal, program: _Program) -> None:
    while terminal.resized.wait():
        terminal.resized.clear()
        program.resize(*terminal.size())


@contextmanager
def _opened(
    connection: IncusConnection, operation: str, secret: str
) -> Iterator[websocket.WebSocket]:
    """A websocket of an operation. Its `secret` is in the request, and in no error."""
    opened = websocket.WebSocket(skip_utf8_validation=True)
    try:
        with _tcp_or_unix(connection) as plain:
            opened.connect(
                f"ws://incus/1.0/operations/{operation}/websocket?secret={secret}",
                socket=plain,
                suppress_origin=True,
            )
            plain.settimeout(None)
            yield opened
    except websocket.WebSocketBadStatusException as error:
        status = f"HTTP status {error.status_code}"  # its text has headers and more
        raise PlexError(f"the server opens no websocket: {status}") from error
    except websocket.WebSocketException as error:
        raise PlexError(f"the server opens no websocket: {error}") from error


def _tcp_or_unix(connection: IncusConnection) -> socket.socket:
    spec = connection.spec
    if spec.url:
        assert spec.certificate is not None
        files = connection.credentials
        assert files is not None
        return pinned_socket(spec.url, spec.certificate, files.certificate, files.key)
    found = socket.socket(socket.AF_UNIX)
    try:
        found.settimeout(CONNECT)
        found.connect(spec.socket)
    except OSError as error:
        found.close()
        raise PlexError(f"no Incus at {spec.socket}: {error.strerror}") from error
    return found
