"""Lists of an Incus server, read with Python's own HTTP: pylxd takes 0.1 s to load.

What is not simply a success is left to `IncusConnection`, which calls again through pylxd: it
repeats calls that a restart breaks off, and knows what to report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plexctl.clients.http_session import (
    ERRORS,
    Connection,
    HttpSession,
    over,
    socket_session,
)
from plexctl.clients.pinned import connect_pinned

if TYPE_CHECKING:
    from plexctl.clients.incus.credentials import Credentials
    from plexctl.clients.server_clock import ServerClock
    from plexctl.model.host_spec import HostSpec


class PlainReads:
    """Reads of one server. Safe to use from several threads."""

    def __init__(
        self,
        spec: HostSpec,
        credentials: Credentials | None,
        clock: ServerClock | None,
        limit: float,
    ) -> None:
        """`credentials` are the files of the client's certificate and key, for HTTPS.

        `clock` is compared with answers, if it is another machine's; `limit` is the time to
        connect, in seconds.
        """
        self._session = _pinned(spec, credentials) if spec.url else socket_session(spec.socket)
        self._project = {"project": spec.project} if spec.project else {}
        self._clock = clock
        self._limit = limit

    def read(self, path: str, answer: float, **params: str) -> Any:
        """What the server has at `path`; None if it does not simply answer.

        TimeoutError if it takes the connection and does not answer in `answer` seconds.
        """
        try:
            found = self._session.call(
                "GET", path, params={**params, **self._project}, timeout=(self._limit, answer)
            )
            if self._clock is not None:
                self._clock.compare(found.headers.get("Date"))
            return found.json()["metadata"] if found.status == 200 else None
        except TimeoutError:
            raise
        except (*ERRORS, ValueError, KeyError, TypeError):
            return None


def _pinned(spec: HostSpec, credentials: Credentials | None) -> HttpSession:
    url, pin = spec.url, spec.certificate
    assert url is not None, spec.name
    assert pin is not None, spec.name
    assert credentials is not None, spec.name
    certificate, key = credentials.certificate, credentials.key
    host = urlsplit(url).netloc

    def connect(seconds: float) -> Connection:
        return over(host, connect_pinned(url, pin, certificate, key, seconds))

    return HttpSession(connect)
