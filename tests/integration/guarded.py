"""Sources of apps over HTTPS that ask for a name and a token: git, and a registry."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import requests

from tests.fake_pve.tls import Certificate, self_signed

Answer = tuple[int, dict[str, str], bytes]


class Content(Protocol):
    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        """Status, headers and body."""


@dataclass
class Guarded:
    """A server with a certificate of its own, which only answers `user` with `token`."""

    address: str
    user: str
    token: str
    certificate: Certificate
    port: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    def admits(self, authorization: str | None) -> bool:
        login = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        return authorization == f"Basic {login}"


@contextmanager
def guarding(content: Content, address: str, user: str, token: str) -> Iterator[Guarded]:
    """Serve until the block ends."""
    guarded = Guarded(address, user, token, self_signed(address))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, answer = HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Basic"}, b""
            if guarded.admits(self.headers.get("Authorization")):
                status, headers, answer = content.answer(self, body)
            guarded.statuses[status] += 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_HEAD = do_GET  # noqa: N815 - the names that the library looks for

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.daemon_threads = True
        context = guarded.certificate.context()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        guarded.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield guarded
        finally:
            server.shutdown()


@dataclass(frozen=True)
class Git:
    """What git itself answers for the repositories in a folder."""

    folder: Path

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        path, _, query = asked.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": asked.command,
            "CONTENT_TYPE": asked.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": asked.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env=environment, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        pairs = (line.partition(": ") for line in head.decode().splitlines())
        headers = {name: value for name, _, value in pairs}
        return int(headers.pop("Status", "200").split()[0]), headers, content


@dataclass(frozen=True)
class Behind:
    """What a registry answers that lets anyone read."""

    url: str
    ca: Path

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        accept = {"Accept": asked.headers.get("Accept", "*/*"), "Accept-Encoding": "identity"}
        found = requests.request(
            asked.command, f"{self.url}{asked.path}", headers=accept, verify=self.ca, timeout=30
        )
        kept = ("Content-Type", "Content-Length", "Docker-Content-Digest")
        headers = {name: found.headers[name] for name in kept if name in found.headers}
        return found.status_code, headers, found.content
