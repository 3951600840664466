"""HTTP with Python's own library, for calls of verbs that must be fast.

To import `requests` takes 0.1 s of processor time, more than all calls of `status` together.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    import ssl

SAFE = "/%:@!$&'()*+,;=-._~"
"""Characters of a path that are sent as they are."""

Connection = http.client.HTTPConnection
ERRORS = (OSError, http.client.HTTPException)
"""What a call raises that gets no answer, or only a part of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call, whatever its status."""

    status: int
    reason: str
    headers: Message
    content: bytes

    @property
    def ok(self) -> bool:
        return self.status < 400

    def json(self) -> Any:
        """The content. ValueError if it is not JSON."""
        return json.loads(self.content)


class HttpSession:
    """Calls to one server, over connections that are used again. Safe to use from threads."""

    def __init__(self, connect: Callable[[float], Connection]) -> None:
        """`connect` returns a new connection, established within that many seconds."""
        self._connect = connect
        self._idle: list[Connection] = []

    def call(
        self,
        method: str,
        path: str,
        *,
        timeout: tuple[float, float],
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Answer:
        """Call once. Raises one of ERRORS if no answer comes, or only a part of one.

        `timeout` is in seconds: to connect, and between two pieces of the answer. A `repeatable`
        call is made again if a connection of earlier calls turns out to have ended.
        """
        target = quote(path, safe=SAFE) + (f"?{urlencode(params)}" if params else "")
        connection, used = self._connection(timeout[0])
        try:
            connection.sock.settimeout(timeout[1])
            connection.request(method, target, body, dict(headers or {}))
            with connection.getresponse() as response:
                answer = Answer(response.status, response.reason, response.headers, response.read())
        except BaseException as error:
            connection.close()
            if repeatable and used and _has_ended(error):
                self.close()  # the others lead to the same end
                return self.call(
                    method, path, timeout=timeout, params=params, body=body, headers=headers
                )
            raise
        if connection.sock is not None:  # the server keeps it open
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections that no call uses."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self, seconds: float) -> tuple[Connection, bool]:
        """A connection, and whether an earlier call has used it."""
        while idle := self._unused():
            if not _ended(idle.sock):
                return idle, True
            idle.close()
        return self._connect(seconds), False

    def _unused(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def url_session(url: str, context: ssl.SSLContext | None = None) -> HttpSession:
    """Calls to the server of `url`, over TLS if `url` says so."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port

    def connect(seconds: float) -> Connection:
        connection = (
            http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=seconds)
        )
        return _established(connection)

    return HttpSession(connect)


def socket_session(path: str | Path) -> HttpSession:
    """Calls to the server that listens at a socket of this machine."""

    def connect(seconds: float) -> Connection:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.settimeout(seconds)
            found.connect(str(path))
        except BaseException:
            found.close()
            raise
        return over("localhost", found)

    return HttpSession(connect)


def over(host: str, connected: socket.socket) -> Connection:
    """A connection to `host` over a socket that is connected already."""
    connection = http.client.HTTPConnection(host)
    connection.auto_open = 0  # it would connect to another server
    connection.sock = connected
    return connection


def _established(connection: Connection) -> Connection:
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _has_ended(error: BaseException) -> bool:
    """Whether an error says that the other end has closed the connection, or never had it."""
    import ssl

    return isinstance(error, ConnectionError | ssl.SSLEOFError)


def _ended(connected: socket.socket) -> bool:
    """Whether the server has closed an idle connection: there is something to read, or an error."""
    looking = select.poll()
    looking.register(connected, select.POLLIN)
    return bool(looking.poll(0))
