"""A server over HTTPS that stands for Incus for adding a host, and one that never answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fake_pve.tls import Certificate, self_signed


@dataclass
class Server:
    """A server that stores its requests. A client that sends `secret` becomes trusted."""

    secret: str = "open sesame"
    trusted: bool = False
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)  # by path; they come first
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    certificate: Certificate = field(default_factory=self_signed)
    port: int = 0
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
        return 200, {"metadata": {"auth": "trusted" if self.trusted else "untrusted"}}


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, content = server.answer(self.command, self.path, body)
            sync = {"type": "sync"} if code == 200 else {}
            data = content if isinstance(content, bytes) else json.dumps(sync | content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data) + server.missing))
            self.close_connection = self.close_connection or server.missing > 0
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the library's

        def log_message(self, *_: Any) -> None: ...

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.socket = server.certificate.context().wrap_socket(httpd.socket, server_side=True)
    server.port = httpd.server_address[1]
    threading.Thread(
        target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()


@contextmanager
def deaf() -> Iterator[int]:
    """The port of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield listening.getsockname()[1]
