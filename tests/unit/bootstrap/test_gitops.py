"""A wait for apps reports each change of the state of an app once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from plexctl.bootstrap.gitops import AppsWait, install
from plexctl.clients.kube.client import Kube
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


class StoringKube:
    """A cluster that stores what is applied. It writes an object in another form at first."""

    def __init__(self, *stored: Any) -> None:
        self._stored = {one["metadata"]["name"]: one for one in stored}

    def path(self, document: Any) -> str:
        return str(document["metadata"]["name"])

    def read(self, path: str) -> Any:
        return self._stored.get(path)

    def apply(self, document: Any) -> Any:
        metadata = {**document["metadata"], "uid": "1", "resourceVersion": "8"}
        self._stored[self.path(document)] = {**document, "metadata": metadata}
        return self._stored[self.path(document)]


def config_map(value: str, **metadata: str) -> Any:
    data = {"key": value}
    return {"kind": "ConfigMap", "metadata": {"name": "facts", **metadata}, "data": data}


@pytest.mark.parametrize(
    ("value", "changed"), [("same", False), ("another", True), ("", True)], ids=str
)
def test_an_object_that_is_only_written_in_another_form_is_unchanged(
    value: str, changed: bool
) -> None:
    stored = [config_map(value, uid="1", resourceVersion="7")] if value else []
    kube = cast(Kube, StoringKube(*stored))

    assert install(kube, (config_map("same"),), (), ()) is changed
