"""A server over HTTPS that stands for Incus for adding a host, and one that never answers."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fake_pve.tls import Certificate, self_signed

INCUS = {"server": "incus", "server_version": "6.0.4", "server_clustered": False}
"""What a server says of itself to those that it trusts."""


@dataclass
class Server:
    """A server that stores its requests. A client that sends `secret` becomes trusted."""

    secret: str = "open sesame"
    trusted: bool = False
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)  # by path; they come first
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    certificate: Certificate = field(default_factory=self_signed)
    port: int = 0
    environment: dict[str, object] = field(default_factory=lambda: dict(INCUS))
    headers: dict[str, dict[str, str]] = field(default_factory=dict)  # of answers, by path
    sent: list[dict[str, str]] = field(default_factory=list)  # headers of the requests
    clock_offset: float | None = 0.0  # seconds of its clock; None: its answers have no time
    missing: int = 0  # bytes of each answer that are promised and never come

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint.replace(":", "").lower()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        if path in self.answers:
            return self.answers[path]
        if method == "POST" and path == "/1.0/certificates":
            if json.loads(body)["trust_token"] != self.secret:
                return 403, {"type": "error", "error": "not authorized"}
            self.trusted = True
            return 200, {"type": "sync", "metadata": {}}
        if not self.trusted:
            return 200, {"metadata": {"auth": "untrusted", "api_extensions": ["projects"]}}
        known = {"auth": "trusted", "environment": self.environment}
        return 200, {"metadata": {**known, "api_extensions": ["projects"]}}


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.sent.append(dict(self.headers))
            code, content = server.answer(self.command, self.path, body)
            sync = {"type": "sync"} if code == 200 else {}
            data = content if isinstance(content, bytes) else json.dumps(sync | content).encode()
            self.send_response(code)
            for name, value in server.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + server.missing))
            self.close_connection = self.close_connection or server.missing > 0
            self.end_headers()
            self.wfile.write(data)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + (server.clock_offset or 0.0))

        def send_header(self, keyword: str, value: str) -> None:
            if keyword != "Date" or server.clock_offset is not None:
                super().send_header(keyword, value)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the library's

        def log_message(self, *_: Any) -> None: ...

    return Handler


@contextmanager
def serving(server: Server, port: int = 0) -> Iterator[Server]:
    httpd = ThreadingHTTPServer(("127.0.0.1", port), _handler(server))
    httpd.socket = server.certificate.context().wrap_socket(httpd.socket, server_side=True)
    server.port = httpd.server_address[1]
    with _running(httpd):
        yield server


@contextmanager
def listening(server: Server, path: Path) -> Iterator[Path]:
    """The same at a socket of this machine, without TLS."""

    class Unix(ThreadingHTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            self.socket.bind(str(path))
            self.server_name, self.server_port = "localhost", 0

    with _running(Unix(("", 0), _handler(server))):
        yield path


@contextmanager
def _running(httpd: ThreadingHTTPServer) -> Iterator[None]:
    httpd.daemon_threads = True
    threading.Thread(
        target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    try:
        yield
    finally:
        httpd.shutdown()
        httpd.server_close()


@contextmanager
def deaf() -> Iterator[int]:
    """The port of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield listening.getsockname()[1]


@contextmanager
def closed() -> Iterator[int]:
    """A port that refuses connections, and that no other process gets meanwhile.

    A server that is to begin later can have it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
