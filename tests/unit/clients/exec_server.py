"""A server that runs programs as Incus does: its operations, and websockets over a Unix socket."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import ssl
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pylxd.exceptions import LXDAPIException
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve, unix_serve

OPERATION = "/1.0/operations/7"


class _Answer:
    def __init__(self, metadata: object, **more: object) -> None:
        self._content = {"metadata": metadata, **more}

    def json(self) -> dict[str, object]:
        return self._content


class _Refusal(_Answer):
    status_code = 400

    def __init__(self, error: str) -> None:
        super().__init__(None, error=error)


@dataclass
class ExecServer:
    """The API of pylxd, for one program. `api.instances[x].exec.post(json=…)` begins it."""

    path: Path
    body: dict[str, Any] = field(default_factory=dict)
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    resizes: list[Mapping[str, str]] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    waited_for: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    failure: str = ""
    window: int = -1  # descriptor of the program's terminal
    slow_control: bool = False  # the program may end before its control is open

    # -- what plexctl calls

    def __getitem__(self, _: str) -> ExecServer:
        return self

    @property
    def instances(self) -> ExecServer:
        return self

    operations = wait = exec = instances

    def _streams(self) -> set[str]:
        return {"0"} if self.body["interactive"] else {"0", "1", "2"}

    def post(self, *, json: dict[str, Any]) -> _Answer:
        self.body = json
        secrets = {name: f"secret-{name}" for name in (*sorted(self._streams()), "control")}
        return _Answer({"metadata": {"fds": secrets}}, operation=f"{OPERATION}?project=x")

    def get(self, *, params: Mapping[str, int], timeout: object) -> _Answer:
        self.waited_for.set()
        if not self.ended.wait(params["timeout"]):
            self.failure = "context deadline exceeded"
        if self.failure:  # pylxd raises that of an operation that has failed
            raise LXDAPIException(_Refusal(self.failure))
        return _Answer(self.result or {"status_code": 103, "status": "Running", "metadata": None})

    # -- websockets

    def admit(self, opened: ServerConnection, request: Request) -> Response | None:
        """The operation of a program that has ended has no websockets any more."""
        if self.slow_control and "secret-control" in request.path:
            self.ended.wait(1)
        gone = self.ended.is_set()
        return opened.respond(HTTPStatus.NOT_FOUND, "no such operation") if gone else None

    def handle(self, opened: ServerConnection) -> None:
        assert opened.request is not None
        assert urlsplit(opened.request.path).path == f"{OPERATION}/websocket"
        name = parse_qs(urlsplit(opened.request.path).query)["secret"][0].removeprefix("secret-")
        self.sockets[name] = opened
        # The server waits for the streams, and not for the control.
        if name != "control" and self._streams() <= self.sockets.keys():
            self.ready.set()
            threading.Thread(target=self._run, daemon=True).start()
        if name == "control":
            self._control(opened)
        self.ended.wait()

    def _control(self, opened: ServerConnection) -> None:
        self.ready.wait()
        with suppress(ConnectionClosed):
            for message in opened:
                wanted = json.loads(message)
                if wanted["command"] == "signal":
                    assert self.process is not None
                    self.process.send_signal(wanted["signal"])
                else:
                    self.resizes.append(wanted["args"])

    def _run(self) -> None:
        try:
            code = self._terminal() if self.body["interactive"] else self._pipes()
            self.result = {"status_code": 200, "status": "Success", "metadata": {"return": code}}
        except (FileNotFoundError, PermissionError) as error:
            said = "found" if isinstance(error, FileNotFoundError) else "executable"
            self.failure = f"Command not {said}"
            for name in ("1", "2"):
                self.sockets[name].send("")
        self.ended.set()

    def _pipes(self) -> int:
        self.process = program = subprocess.Popen(
            self.body["command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert program.stdin
        assert program.stdout
        assert program.stderr
        threading.Thread(target=self._feed, args=(program.stdin.fileno(),), daemon=True).start()
        streams = {"1": program.stdout.fileno(), "2": program.stderr.fileno()}
        threads = [threading.Thread(target=self._drain, args=one) for one in streams.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        code = program.wait()
        return 128 - code if code < 0 else code

    def _terminal(self) -> int:
        self.window, far = pty.openpty()
        size = struct.pack("HHHH", self.body["height"], self.body["width"], 0, 0)
        fcntl.ioctl(far, termios.TIOCSWINSZ, size)
        environment = {**os.environ, **self.body["environment"]}
        self.process = subprocess.Popen(
            self.body["command"], stdin=far, stdout=far, stderr=far, env=environment
        )
        os.close(far)
        threading.Thread(target=self._feed, args=(self.window,), daemon=True).start()
        self._drain("0", self.window)
        return self.process.wait()

    def _feed(self, target: int) -> None:
        with suppress(OSError, ConnectionClosed):
            for message in self.sockets["0"]:
                if isinstance(message, str):  # the end
                    break
                os.write(target, message)
        if target != self.window:
            assert self.process is not None
            assert self.process.stdin is not None
            self.process.stdin.close()

    def _drain(self, name: str, source: int) -> None:
        with suppress(ConnectionClosed):  # by a client that has killed the program
            with suppress(OSError):  # EIO: the end of a terminal
                while content := os.read(source, 1 << 16):
                    self.sockets[name].send(content)
            self.sockets[name].send("")


@contextmanager
def exec_server(path: Path) -> Iterator[ExecServer]:
    found = ExecServer(path)
    with (
        unix_serve(found.handle, str(path), process_request=found.admit) as server,
        _served(found, server),
    ):
        yield found


@contextmanager
def https_exec_server(certificate: Path, key: Path) -> Iterator[tuple[ExecServer, str]]:
    """The server, and its URL."""
    found = ExecServer(Path())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        serve(found.handle, "127.0.0.1", 0, ssl=context, process_request=found.admit) as server,
        _served(found, server),
    ):
        yield found, f"https://127.0.0.1:{server.socket.getsockname()[1]}"


@contextmanager
def _served(found: ExecServer, server: Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        found.ended.set()
        server.shutdown()
        thread.join()
