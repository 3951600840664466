"""What every engine that brings up apps has in common: it is put there, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.model.apps import Apps, Sync
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Outcome, Reporter, Step
from plexctl.plan.documents import Document

INSTALLED = 60.0
SYNCED = 300.0
PATIENCE = 8.0
"""Seconds that a failure must last: Flux tries again after 5, and a network comes up late."""


def install(
    kube: Kube, documents: Sequence[Document], crds: Sequence[Document], sync: Sequence[Document]
) -> bool:
    """Apply the controllers, their CRDs, and what they are to apply. Whether anything changed."""
    namespace, *others = documents
    with ThreadPoolExecutor(8) as pool:
        changed = [_applied(kube, namespace)]
        changed += pool.map(lambda document: _applied(kube, document), (*crds, *others))
        changed += pool.map(lambda document: _applied(kube, document), sync)
    return any(changed)


def _applied(kube: Kube, document: Document) -> bool:
    """Apply, again while the API is not that far: kinds and namespaces come up one by one."""
    result: list[bool] = []
    metadata = document["metadata"]
    what = f"{document['kind']} {metadata['name']} is applied"

    def probe() -> Observation:
        try:
            path = kube.path(document)
            before = kube.read(path)
            after = kube.apply(document)
        except UnreachableError as error:
            return Observation(False, error.summary)
        versions = [one["metadata"]["resourceVersion"] if one else "" for one in (before, after)]
        result.append(versions[0] != versions[1])
        return Observation(True)

    wait(Condition(what, probe, INSTALLED))
    return result[-1]


@dataclass(slots=True)
class SyncWatch:
    """Waits until the apps of a plex are there, or will not be.

    `look` asks the engine; `patience` is how many seconds a failure must last.
    """

    plex: str
    look: Callable[[], Apps]
    reporter: Reporter
    hint: str
    patience: float = PATIENCE
    last: Apps = field(default_factory=lambda: Apps(None, ()))
    _failing: tuple[tuple[str, ...], float] = ((), 0.0)
    _told: tuple[tuple[str, str, Outcome | None], ...] = ()

    def wait(self) -> Apps:
        """What there is in the end: `synced`, or with `failures`.

        PlexError if neither is so within the time that apps are given.
        """
        with self.reporter.step(f"the apps of {self.plex} are there") as step:

            def probe() -> Observation:
                try:
                    self.last = self.look().after(self.last)
                except UnreachableError as error:
                    return Observation(False, error.summary)
                self._tell(step)
                return Observation(self.last.synced or self._lost(), self.last.summary)

            what = f"the apps of {self.plex} are there"
            wait(Condition(what, probe, SYNCED, hint=self.hint))
            failed = Outcome.FAILED if self.last.failures else Outcome.UNCHANGED
            step.end(failed, self.last.summary)
        return self.last

    def _tell(self, step: Step) -> None:
        """What each does, where that has changed."""
        step.progress(self.last.summary)
        now = tuple(_parts(self.last))
        for part in now:
            if part not in self._told:
                step.part(*part)
        self._told = now

    def _lost(self) -> bool:
        """Whether the same has failed for a while, and nothing else goes on."""
        failures = tuple(line.partition(":")[0] for line in self.last.failures)
        if not self.last.stuck or failures != self._failing[0]:
            self._failing = (failures if self.last.stuck else (), time.monotonic())
            return False
        return time.monotonic() - self._failing[1] > self.patience


OUTCOMES = {
    Sync.READY: Outcome.CHANGED,
    Sync.SUSPENDED: Outcome.UNCHANGED,
    Sync.FAILED: Outcome.FAILED,
}


def _parts(apps: Apps) -> Iterator[tuple[str, str, Outcome | None]]:
    """What is waited for, what it does, and what came of it."""
    for app in (*((apps.source,) if apps.source else ()), *apps.apps):
        doing = app.message if app.sync is Sync.FAILED else str(app.sync)
        yield f"{app.kind} {app.name}", doing, OUTCOMES.get(app.sync)
    for one in apps.workloads:
        outcome = Outcome.CHANGED if one.ready else Outcome.FAILED if one.failed else None
        yield str(one), one.message, outcome
