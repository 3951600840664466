"""How soon apps are there: of a new plex, and after a change of the lab's tree."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.clients.process import run
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from tests.bench.api import Api, NoAnswerError

APP = "hello-world"
PAGE = f"/api/v1/namespaces/{APP}/services/http:{APP}:http/proxy/hostname"
CONFIG = f"/api/v1/namespaces/{APP}/configmaps/{APP}"
DEADLINE = 180.0
LOOK = 0.05
"""Seconds between two looks: an instant is seen late by this at most."""


@dataclass(slots=True)
class Tree:
    """A lab with GitOps and its one plex, seen from outside."""

    root: Path
    kubeconfig: Path
    folder: Path  # for keys
    log: Path
    environment: Mapping[str, str]
    _api: Api | None = None

    def answering(self, command: tuple[str, ...]) -> float:
        """Seconds from the launch of `command` until hello-world answers a request."""
        return self._timed(command, lambda: bool(self.api.text(PAGE)))

    def live(self, command: tuple[str, ...], greeting: str) -> float:
        """Seconds from the launch of `command`, after a change of the tree, until it is live."""
        file = self.root / "apps" / APP / "config.yaml"
        lines = file.read_text().splitlines()
        changed = [f"  GREETING: {greeting}" if "GREETING:" in line else line for line in lines]
        file.write_text("\n".join(changed) + "\n")
        return self._timed(command, lambda: self.api.get(CONFIG)["data"]["GREETING"] == greeting)

    def saved(self, command: tuple[str, ...]) -> tuple[float, float]:
        """Seconds that `command` takes, which saves the plex, and for which nodes are frozen."""
        began = time.monotonic()
        done = run(command, timeout=DEADLINE, env=self.environment)
        return time.monotonic() - began, float(json.loads(done.stdout)["seconds"]["frozen"])

    def returning(self, command: tuple[str, ...]) -> float:
        """Seconds from the launch of `command`, which restores, until hello-world answers again."""
        away = False

        def back() -> bool:
            nonlocal away
            try:
                return bool(self.api.text(PAGE)) and away
            except NoAnswerError:
                away = True
                raise

        return self._timed(command, back)

    @property
    def api(self) -> Api:
        if self._api is None:
            self._api = Api(self.kubeconfig, self.folder)
        return self._api

    def _timed(self, command: tuple[str, ...], there: Callable[[], bool]) -> float:
        with self.log.open("a") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )
            try:

                def look() -> Observation:
                    if process.poll():
                        last = self.log.read_text().splitlines()[-4:]
                        raise PlexError(
                            f"plexctl failed with code {process.returncode}", details=tuple(last)
                        )
                    try:
                        return Observation(there())
                    except (NoAnswerError, KeyError) as error:
                        return Observation(False, str(error))

                wait(Condition("what was waited for is there", look, DEADLINE, every=LOOK))
                seconds = time.monotonic() - began
                process.wait(timeout=DEADLINE)
            finally:
                process.kill()
                process.wait()
        return seconds
