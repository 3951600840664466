"""Installing a GitOps engine in a running plex, and waiting for the apps that it applies."""

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

INSTALL, APPLY = 60.0, 300.0
"""Deadlines in seconds: of each object of the engine, and of all apps."""

PATIENCE = 8.0
"""Seconds that a failure must last to end the wait: Flux retries after 5 s, and the network of a
new node can be late."""


def is_born(kube: Kube, namespace: str, name: str, path: str) -> bool:
    """Whether a new cluster has started with an engine, whose objects are in `namespace`.

    The namespace is there at once. The object at `path`, which the engine acts on, is waited for:
    it is served once the API has read the definition of its kind.
    """
    born = False

    def probe() -> Observation:
        nonlocal born
        try:
            born = kube.read(f"/api/v1/namespaces/{namespace}") is not None
            there = not born or kube.read(path) is not None
            return Observation(there, "the API does not serve it yet")
        except UnreachableError as error:
            return Observation(False, error.summary)

    wait(Condition(f"the {name} is there", probe, INSTALL))
    return born


def install(
    kube: Kube, documents: Sequence[Document], crds: Sequence[Document], sync: Sequence[Document]
) -> bool:
    """Apply an engine's controllers, its CRDs, and then `sync`: the objects that it acts on.

    The first of `documents` is the engine's namespace. Returns whether anything has changed.
    """
    namespace, *others = documents
    with ThreadPoolExecutor(8) as pool:
        changed = [_apply(kube, namespace)]
        changed += pool.map(lambda document: _apply(kube, document), (*crds, *others))
        changed += pool.map(lambda document: _apply(kube, document), sync)
    return any(changed)


def _apply(kube: Kube, document: Document) -> bool:
    """Apply an object, and retry while the API does not serve its kind or lacks its namespace."""
    changed = False

    def probe() -> Observation:
        nonlocal changed
        try:
            path = kube.path(document)
            before = kube.read(path)
            after = kube.apply(document)
        except UnreachableError as error:
            return Observation(False, error.summary)
        changed = before is None or _content(before) != _content(after)
        return Observation(True)

    name = f"{document['kind']} {document['metadata']['name']}"
    wait(Condition(f"{name} is applied", probe, INSTALL))
    return changed


def _content(found: Document) -> Document:
    """An object without its version.

    The API server also writes an object when only the stored form is another one, as it is of
    objects that a cluster was born with.
    """
    metadata = {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}
    return {**found, "metadata": metadata}


@dataclass(slots=True)
class AppsWait:
    """A wait for the apps of a plex: until all of them run, or some have failed for good.

    `read` reads their state from the engine. A failure counts after `patience` seconds.
    """

    plex: str
    read: Callable[[], Apps]
    reporter: Reporter
    hint: str
    patience: float = PATIENCE
    last: Apps = field(default_factory=lambda: Apps(None, ()))
    _failing: tuple[tuple[str, ...], float] = ((), 0.0)
    _reported: tuple[tuple[str, str, Outcome | None], ...] = ()

    def run(self) -> Apps:
        """The state of the apps at the end: `synced`, or with `failures`.

        TimedOutError if neither is so at the deadline.
        """
        what = f"the apps of {self.plex} are applied"
        condition = Condition(what, lambda: self._probe(step), APPLY, hint=self.hint)
        with self.reporter.step(condition.title) as step:
            wait(condition)
            failed = Outcome.FAILED if self.last.failures else Outcome.UNCHANGED
            step.end(failed, self.last.summary)
        return self.last

    def _probe(self, step: Step) -> Observation:
        try:
            self.last = self.read().after(self.last)
        except UnreachableError as error:
            return Observation(False, error.summary)
        self._report(step)
        return Observation(self.last.synced or self._has_failed(), self.last.summary)

    def _report(self, step: Step) -> None:
        """Report each part whose state has changed."""
        step.progress(self.last.summary)
        now = tuple(_parts(self.last))
        for part in now:
            if part not in self._reported:
                step.part(*part)
        self._reported = now

    def _has_failed(self) -> bool:
        """Whether the same failures have lasted for `patience`, and nothing else makes progress."""
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
    """The name, state and final outcome (if any) of the source, each app and each workload."""
    for app in (*((apps.source,) if apps.source else ()), *apps.apps):
        state = app.message if app.sync is Sync.FAILED else str(app.sync)
        yield f"{app.kind} {app.name}", state, OUTCOMES.get(app.sync)
    for one in apps.workloads:
        outcome = Outcome.CHANGED if one.ready else Outcome.FAILED if one.failed else None
        yield str(one), one.message, outcome
