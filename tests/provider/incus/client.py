"""Calls to an Incus server, over its socket or over HTTPS with certificates of the client's folder.

The standard library is enough, and quick to import: a plan starts the provider three times.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..resource import RefusedError

SECONDS = 180
PASSING = "bridge children interfaces"
"""Why a network is refused while an instance of any network goes."""
TRIES = 20


class NotFoundError(RefusedError):
    """The server has no such object."""


class Server:
    """One remote. Each thread has a connection of its own."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.parts = urlsplit(address)
        self.folder = folder
        self._local = threading.local()

    def get(self, *path: str, **query: str) -> Any:
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: tuple[str, ...],
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The metadata of the answer; an operation is waited for. RefusedError if it fails."""
        target = "/".join(("/1.0", *(quote(part, safe="") for part in path)))
        if query:
            target += f"?{urlencode(query)}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        for _ in range(TRIES):
            answer = self._ask(method, target, data, headers or {})
            if PASSING not in answer.get("error", ""):
                break
            time.sleep(0.2)
        if answer["type"] == "error":
            kind = NotFoundError if answer["error_code"] == 404 else RefusedError
            raise kind(f"{method} {target} on {self.name}: {answer['error']}")
        if answer["type"] != "async":
            return answer["metadata"]
        operation = answer["metadata"]["id"]
        done = self.get("operations", operation, "wait", timeout=str(SECONDS))
        if done["status_code"] != 200:
            raise RefusedError(f"{method} {target} on {self.name}: {done['err'] or done['status']}")
        return done["metadata"]

    def _ask(
        self, method: str, target: str, data: bytes | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        for again in (True, False):
            connection = self._connection()
            try:
                connection.request(method, target, data, headers)
                return dict(json.loads(connection.getresponse().read()))
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection may have been closed meanwhile; nothing was done over it.
                self._local.connection = None
                if not again or method != "GET":
                    raise
            except OSError as error:
                self._local.connection = None
                raise RefusedError(f"{self.name} at {self.parts.geturl()}: {error}") from error
        raise AssertionError

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connected()
        return found

    def _connected(self) -> http.client.HTTPConnection:
        if self.parts.scheme == "unix":
            return _UnixConnection(self.parts.path or "/var/lib/incus/unix.socket")
        host, port = self.parts.hostname or "", self.parts.port or 8443
        return http.client.HTTPSConnection(
            host, port, timeout=SECONDS + 10, context=self._certificates()
        )

    def _certificates(self) -> ssl.SSLContext:
        pinned = self.folder / "servercerts" / f"{self.name}.crt"
        if not pinned.exists():
            raise RefusedError(
                f"Unable to communicate with remote server {self.name}",
                f"There is no {pinned}, and accept_remote_certificate is not served here.",
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it is that very certificate or none
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(pinned)
        context.load_cert_chain(self.folder / "client.crt", self.folder / "client.key")
        return context


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("incus", timeout=SECONDS + 10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
