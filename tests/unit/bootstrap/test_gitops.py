"""A wait for apps reports each change of the state of an app once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.bootstrap.gitops import AppsWait
from plexctl.model.apps import App, Apps, Sync, Workload
from plexctl.model.events import Outcome

SOURCE = App("OCIRepository", "plex", "flux-system", Sync.READY, "", "tree@sha256:1")


class PartsRecorder:
    """A reporter and its step, which records the parts."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str, Outcome | None]] = []

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[PartsRecorder]:
        yield self

    def mark(self, node: str, what: str) -> None: ...

    def progress(self, text: str, done: float | None = None) -> None: ...

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None:
        self.parts.append((name, doing, outcome))

    def end(self, outcome: Outcome, text: str = "") -> None: ...


def app(name: str, sync: Sync, message: str = "") -> App:
    return App("Kustomization", name, "flux-system", sync, message, "")


def test_each_change_of_an_app_is_reported_once() -> None:
    begins = Apps(SOURCE, (app("infra", Sync.PROGRESSING), app("web", Sync.WAITING)))
    fails = Apps(SOURCE, (app("infra", Sync.PROGRESSING), app("web", Sync.FAILED, "no image")))
    runs = Workload("Deployment", "web", "web", True, "1 of 1 available")
    there = Apps(SOURCE, (app("infra", Sync.READY), app("web", Sync.READY)), (runs,))
    states = iter((begins, begins, fails, there))
    recorder = PartsRecorder()

    AppsWait("demo", lambda: next(states), recorder, "hint").run()

    assert recorder.parts == [
        ("OCIRepository plex", "ready", Outcome.CHANGED),
        ("Kustomization infra", "progressing", None),
        ("Kustomization web", "waiting", None),
        ("Kustomization web", "no image", Outcome.FAILED),
        ("Kustomization infra", "ready", Outcome.CHANGED),
        ("Kustomization web", "ready", Outcome.CHANGED),
        ("Deployment web/web", "1 of 1 available", Outcome.CHANGED),
    ]
