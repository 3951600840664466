"""The clock of a server, compared with this machine's: answers over HTTP have the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


class ServerClock:
    """Compares the clocks at the first answer of a server, without a call."""

    def __init__(self) -> None:
        self._offset: float | None = None

    @property
    def offset(self) -> float:
        """Seconds by which the server's clock is ahead of this machine's, to about a second.

        0 as long as no answer has had a time.
        """
        return self._offset or 0.0

    def watch(self, session: requests.Session) -> None:
        """Compare the clocks at the first answer that `session` gets."""
        session.hooks["response"].append(self._compare)

    def _compare(self, answer: requests.Response, **_: Any) -> None:
        self.compare(answer.headers.get("Date"))

    def compare(self, date: str | None) -> None:
        """Compare with the time that an answer has in its header, if it has one."""
        from email.utils import parsedate_to_datetime  # loaded with any client of HTTP

        if self._offset is None and date:
            try:
                self._offset = parsedate_to_datetime(date).timestamp() - time.time()
            except (ValueError, OverflowError):
                return
