"""Calls to a server whose service restarts: they are repeated for the seconds that this takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

RESTART = 15.0
"""Seconds in which a service that restarts must accept calls again."""

EVERY = 0.25
"""Seconds between two attempts."""


def repeat_calls(session: requests.Session) -> None:
    """Let `session` repeat calls that a restart of the server breaks off, as far as that is safe.

    It is for reads, and for calls that never reached the server. A server that accepts a connection
    and does not answer is not one that restarts: time-outs are raised at once.
    """
    import requests

    send = session.send

    def patient(request: requests.PreparedRequest, **options: Any) -> requests.Response:
        end = time.monotonic() + RESTART
        while True:
            try:
                return send(request, **options)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                late = time.monotonic() >= end
                if late or isinstance(error, requests.Timeout) or not _repeatable(request, error):
                    raise
            time.sleep(EVERY)

    session.send = patient  # type: ignore[method-assign]


def refused(error: Exception) -> bool:
    """Whether the machine is up and no service takes the connection."""
    return any(
        isinstance(one, ConnectionRefusedError | FileNotFoundError) for one in _causes(error)
    )


def _repeatable(request: requests.PreparedRequest, error: Exception) -> bool:
    if request.method == "GET":
        return True
    return (request.body is None or isinstance(request.body, bytes | str)) and refused(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that libraries have wrapped in it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
