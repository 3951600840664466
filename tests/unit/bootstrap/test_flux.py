"""What is made of Flux' own words about its source and its Kustomizations."""

from __future__ import annotations

from typing import Any, cast

import pytest

from plexctl.bootstrap import flux
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.apps import Apps, Sync
from plexctl.model.condition import Clock
from plexctl.plan.gitops.flux_sync import NAME

OLD, NEW = "tree@sha256:0ld", "tree@sha256:new"
KIND = "OCIRepository"


def ready(status: str = "True", reason: str = "Succeeded", message: str = "", seen: int = 1) -> Any:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": seen,
    }


def kustomization(name: str, condition: Any, applied: str = NEW, **spec: Any) -> Any:
    return {
        "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
        "spec": {"sourceRef": {"kind": KIND, "name": NAME}, **spec},
        # Flux counts only successes here: -1 before the first.
        "status": {
            "conditions": [condition],
            "lastAppliedRevision": applied,
            "observedGeneration": -1,
        },
    }


class FakeKube:
    def __init__(self, *kustomizations: Any, revision: str = NEW, source: Any = None) -> None:
        self.annotated: list[str] = []
        self._source = {
            "metadata": {"generation": 1},
            "spec": {},
            "status": {"conditions": [source or ready()], "artifact": {"revision": revision}},
        }
        self._listed = {"items": list(kustomizations)}

    def read(self, path: str, *, params: Any = None) -> Any:
        if path.startswith(flux.SOURCES):
            return self._source
        return self._listed if path == f"{flux.KUSTOMIZATIONS}/kustomizations" else None

    def annotate(self, path: str, annotations: dict[str, str]) -> bool:
        self.annotated.append(path.rpartition("/")[2])
        return True


def look(*kustomizations: Any, **source: Any) -> Apps:
    return flux.apps(cast(Kube, FakeKube(*kustomizations, **source)), KIND)


def state(found: Any, **source: Any) -> Sync:
    return look(found, **source).apps[0].sync


def test_what_is_applied_as_the_source_has_it_is_ready() -> None:
    assert state(kustomization("web", ready())) is Sync.READY
    assert look(kustomization("web", ready())).synced


def test_what_is_applied_of_an_older_artifact_goes_on() -> None:
    assert state(kustomization("web", ready(), OLD)) is Sync.PROGRESSING


def test_a_failure_is_one_even_if_nothing_was_ever_applied() -> None:
    failed = ready("False", "ArtifactFailed", "kustomization path\nnot found")
    seen = look(kustomization("web", failed, applied=""))
    assert seen.failures == ("Kustomization web: kustomization path not found",)


def test_a_source_that_is_being_fetched_once_more_is_no_failure() -> None:
    message = "Source is not ready, artifact not found, retrying in 200ms"
    waits = kustomization("web", ready("False", "ArtifactFailed", message))
    assert state(waits) is Sync.PROGRESSING


def test_while_the_source_is_fetched_nothing_has_failed_yet() -> None:
    failed = kustomization("web", ready("False", "BuildFailed"))
    assert state(failed, source=ready("Unknown", "Progressing")) is Sync.PROGRESSING


def test_a_dependency_is_waited_for() -> None:
    waits = ready("False", "DependencyNotReady", "dependency 'infra' is not ready")
    [app] = look(kustomization("web", waits, dependsOn=[{"name": "infra"}])).apps
    assert (app.sync, app.depends_on) == (Sync.WAITING, ("infra",))


def test_what_a_condition_says_of_an_older_object_does_not_count() -> None:
    found = kustomization("web", ready(seen=1))
    found["metadata"]["generation"] = 2
    assert state(found) is Sync.PROGRESSING


def test_what_was_true_before_somebody_asked_does_not_count() -> None:
    found = kustomization("web", ready())
    found["metadata"]["annotations"] = {flux.REQUESTED: "2026-11-21T12:00:01Z"}
    assert state(found) is Sync.PROGRESSING
    found["status"]["lastHandledReconcileAt"] = "2026-11-21T12:00:01Z"
    assert state(found) is Sync.READY


def test_what_is_suspended_is_left_alone() -> None:
    assert state(kustomization("web", ready(), OLD, suspend=True)) is Sync.SUSPENDED


def test_only_what_comes_from_the_plex_source_counts() -> None:
    other = kustomization("web", ready("False", "BuildFailed"))
    other["spec"]["sourceRef"]["name"] = "elsewhere"
    assert look(other).apps == ()


def test_another_artifact_than_the_pushed_one_is_not_enough() -> None:
    seen = flux.apps(cast(Kube, FakeKube(kustomization("web", ready()))), KIND, revision="sha256:x")
    assert seen.source is not None
    assert seen.source.sync is Sync.PROGRESSING
    assert not seen.synced


def test_a_circle_is_told_once_the_tree_is_applied() -> None:
    waits = ready("False", "DependencyNotReady")
    circle = (
        kustomization("egg", waits, dependsOn=[{"name": "hen"}]),
        kustomization("hen", waits, dependsOn=[{"name": "egg"}]),
    )
    flux.no_cycle(look(kustomization(NAME, ready(), OLD), *circle))
    with pytest.raises(PlexError, match="egg -> hen -> egg"):
        flux.no_cycle(look(kustomization(NAME, ready()), *circle))


def test_those_that_have_not_heard_of_an_artifact_are_told_once() -> None:
    time = 0.0
    kube = FakeKube(kustomization("late", ready(), OLD), kustomization("well", ready()))
    seen = flux.apps(cast(Kube, kube), KIND)
    nudge = flux.ReconcileRequest(cast(Kube, kube), Clock(now=lambda: time))
    for moment in (0.0, 1.0, flux.UNHEARD + 0.1, flux.UNHEARD + 9.0):
        time = moment
        nudge(seen)
    assert kube.annotated == ["late"]
