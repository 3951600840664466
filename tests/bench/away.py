"""For how long the API of a cluster is away while something happens to its masters."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.api import Api, NoAnswerError

EVERY = 0.02
"""Seconds between two calls: a gap is measured with this precision."""

PATIENCE = 1.0
"""Seconds for an answer. A client that waits longer would measure itself."""

NAMESPACE = "/api/v1/namespaces/default"


@dataclass
class Away:
    """Reads a namespace from etcd again and again; the longest time without an answer."""

    kubeconfig: Path
    folder: Path
    seconds: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Away:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join(10)

    def _ask(self) -> None:
        api, last = Api(self.kubeconfig, self.folder, PATIENCE), time.monotonic()
        while not self._end.is_set():
            try:
                api.get(NAMESPACE)
            except NoAnswerError:
                answered = False
            else:
                answered = True
            now = time.monotonic()
            self.seconds = max(self.seconds, now - last)
            if answered:
                last = now
            time.sleep(EVERY)
