"""The state of apps, read from the conditions of Flux' source and Kustomizations."""

from __future__ import annotations

from typing import Any, cast

import pytest

from plexctl.bootstrap import flux
from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.errors import PlexError
from plexctl.model.apps import Apps, Sync
from plexctl.model.condition import Clock
from plexctl.plan.gitops.flux_sync import NAME

OLD, NEW = "tree@sha256:0ld", "tree@sha256:new"
KIND = "OCIRepository"


def ready(
    status: str = "True", reason: str = "Succeeded", message: str = "", observed: int = 1
) -> Any:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": observed,
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


def apps(*kustomizations: Any, **source: Any) -> Apps:
    return flux.apps(cast(Kube, FakeKube(*kustomizations, **source)), KIND)


def state(found: Any, **source: Any) -> Sync:
    return apps(found, **source).apps[0].sync


def test_an_app_at_the_revision_of_its_source_is_ready() -> None:
    assert state(kustomization("web", ready())) is Sync.READY
    assert apps(kustomization("web", ready())).synced


def test_an_app_at_an_older_revision_is_progressing() -> None:
    assert state(kustomization("web", ready(), OLD)) is Sync.PROGRESSING


def test_an_app_that_was_never_applied_can_have_failed() -> None:
    failed = ready("False", "ArtifactFailed", "kustomization path\nnot found")
    observed = apps(kustomization("web", failed, applied=""))
    assert observed.failures == ("Kustomization web: kustomization path not found",)


def test_a_source_that_is_fetched_once_more_has_not_failed() -> None:
    message = "Source is not ready, artifact not found, retrying in 200ms"
    waits = kustomization("web", ready("False", "ArtifactFailed", message))
    assert state(waits) is Sync.PROGRESSING


def test_no_app_has_failed_while_the_source_is_fetched() -> None:
    failed = kustomization("web", ready("False", "BuildFailed"))
    assert state(failed, source=ready("Unknown", "Progressing")) is Sync.PROGRESSING


def test_an_app_waits_for_its_dependency() -> None:
    waits = ready("False", "DependencyNotReady", "dependency 'infra' is not ready")
    [app] = apps(kustomization("web", waits, dependsOn=[{"name": "infra"}])).apps
    assert (app.sync, app.depends_on) == (Sync.WAITING, ("infra",))


def test_a_condition_of_an_older_generation_does_not_count() -> None:
    found = kustomization("web", ready(observed=1))
    found["metadata"]["generation"] = 2
    assert state(found) is Sync.PROGRESSING


def test_a_state_from_before_the_last_request_does_not_count() -> None:
    found = kustomization("web", ready())
    found["metadata"]["annotations"] = {flux.REQUESTED: "2026-11-21T12:00:01Z"}
    assert state(found) is Sync.PROGRESSING
    found["status"]["lastHandledReconcileAt"] = "2026-11-21T12:00:01Z"
    assert state(found) is Sync.READY


def test_a_suspended_app_is_suspended_at_any_revision() -> None:
    assert state(kustomization("web", ready(), OLD, suspend=True)) is Sync.SUSPENDED


def test_only_kustomizations_of_the_plex_source_are_apps() -> None:
    other = kustomization("web", ready("False", "BuildFailed"))
    other["spec"]["sourceRef"]["name"] = "elsewhere"
    assert apps(other).apps == ()


def test_a_source_at_another_revision_than_the_pushed_one_is_progressing() -> None:
    kube = cast(Kube, FakeKube(kustomization("web", ready())))
    observed = flux.apps(kube, KIND, revision="sha256:x")
    assert observed.source is not None
    assert observed.source.sync is Sync.PROGRESSING
    assert not observed.synced


def test_a_circle_of_dependencies_is_an_error_once_the_tree_is_applied() -> None:
    waits = ready("False", "DependencyNotReady")
    circle = (
        kustomization("egg", waits, dependsOn=[{"name": "hen"}]),
        kustomization("hen", waits, dependsOn=[{"name": "egg"}]),
    )
    flux.raise_if_cycle(apps(kustomization(NAME, ready(), OLD), *circle))
    with pytest.raises(PlexError, match="egg -> hen -> egg"):
        flux.raise_if_cycle(apps(kustomization(NAME, ready()), *circle))


def test_apps_that_do_not_notice_an_artifact_are_notified_once() -> None:
    time = 0.0
    kube = FakeKube(kustomization("late", ready(), OLD), kustomization("done", ready()))
    observed = flux.apps(cast(Kube, kube), KIND)
    notifier = flux.ArtifactNotifier(cast(Kube, kube), Clock(now=lambda: time))
    for moment in (0.0, 1.0, flux.UNNOTICED + 0.1, flux.UNNOTICED + 9.0):
        time = moment
        notifier.update(observed)
    assert kube.annotated == ["late"]


class StartingKube:
    """A cluster whose API answers one path after the other: an error, nothing, or an object."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.calls: list[str] = []

    def read(self, path: str, *, params: Any = None) -> Any:
        name = path.split("/")[-2]
        self.calls.append(name)
        answer = self._answers[name].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_source_of_a_born_cluster_is_waited_for() -> None:
    starting = UnreachableError("the API has not installed all paths")
    kube = StartingKube(
        namespaces=[starting, {}, {}, {}], ocirepositories=[starting, None, {"kind": KIND}]
    )

    assert flux.is_born(cast(Kube, kube), KIND)
    assert kube.calls[-1] == "ocirepositories"
    assert len(kube.calls) == 7


def test_a_cluster_without_the_namespace_was_not_born_with_flux() -> None:
    kube = StartingKube(namespaces=[None])

    assert not flux.is_born(cast(Kube, kube), KIND)
    assert kube.calls == ["namespaces"]
