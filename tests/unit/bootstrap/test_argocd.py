"""The state of apps, read from the conditions of Argo CD's Applications."""

from __future__ import annotations

from typing import Any, cast

import pytest

from plexctl.bootstrap import argocd
from plexctl.clients.kube.client import Kube
from plexctl.model.apps import Sync

SET: dict[str, Any] = {
    "spec": {"generators": [{"git": {"revision": "main"}}]},
    "status": {"conditions": [{"type": "ResourcesUpToDate", "status": "True", "message": "ok"}]},
}
HEALTHY = {
    "sync": {"status": "Synced", "revision": "abc"},
    "health": {"status": "Healthy"},
    "operationState": {"phase": "Succeeded"},
}


class FakeKube:
    def __init__(self, application_set: Any, **applications: Any) -> None:
        self.annotated: list[str] = []
        self.lists = {
            f"{argocd.HERE}/applicationsets/apps": application_set,
            f"{argocd.HERE}/applications": {
                "items": [application(name, status) for name, status in applications.items()]
            },
        }

    def read(self, path: str, *, params: Any = None) -> Any:
        return self.lists.get(path)

    def annotate(self, path: str, annotations: dict[str, str]) -> bool:
        self.annotated += [f"{path.removeprefix(argocd.HERE)} {key}" for key in annotations]
        return True


def application(name: str, status: Any, owner: str = "apps") -> Any:
    reference = {"kind": "ApplicationSet", "name": owner}
    metadata = {"name": name, "namespace": "argocd", "ownerReferences": [reference]}
    return {"metadata": metadata, "status": status}


def kube(application_set: Any = SET, **applications: Any) -> Kube:
    return cast(Kube, FakeKube(application_set, **applications))


def test_synced_and_healthy_applications_are_ready() -> None:
    observed = argocd.apps(kube(web=HEALTHY, api=HEALTHY))

    assert observed.synced
    assert observed.failures == ()
    assert [(app.name, app.sync, app.revision) for app in observed.apps] == [
        ("api", Sync.READY, "abc"),
        ("web", Sync.READY, "abc"),
    ]
    assert observed.summary == "2 of 2 applied"


@pytest.mark.parametrize(
    ("status", "sync", "message"),
    [
        ({}, Sync.PROGRESSING, "not compared yet"),
        ({"sync": {"status": "OutOfSync"}}, Sync.PROGRESSING, "OutOfSync"),
        (HEALTHY | {"health": {"status": "Progressing"}}, Sync.PROGRESSING, "Synced, Progressing"),
        (
            HEALTHY | {"operationState": {"phase": "Running", "message": "waits"}},
            "progressing",
            "wait",
        ),
        (HEALTHY | {"health": {"status": "Suspended"}}, Sync.SUSPENDED, "Suspended"),
        (
            {
                "sync": {"status": "OutOfSync"},
                "operationState": {"phase": "Failed", "message": "no such kind"},
            },
            Sync.FAILED,
            "no such kind",
        ),
        (
            HEALTHY
            | {
                "health": {"status": "Degraded"},
                "resources": [
                    {
                        "kind": "Deployment",
                        "name": "web",
                        "health": {"status": "Degraded", "message": "exceeded its deadline"},
                    }
                ],
            },
            Sync.FAILED,
            "Deployment web: exceeded its deadline",
        ),
        (
            HEALTHY
            | {"conditions": [{"type": "ComparisonError", "message": "no path\n apps/web"}]},
            Sync.FAILED,
            "no path apps/web",
        ),
    ],
)
def test_an_application_that_is_not_ready_has_the_reason(
    status: Any, sync: Sync, message: str
) -> None:
    (app,) = argocd.apps(kube(web=status)).apps

    assert app.sync == sync
    assert message in app.message


def test_an_unreadable_repository_is_a_failure_of_the_source() -> None:
    condition = {"type": "ErrorOccurred", "status": "True", "message": "no route to host"}
    observed = argocd.apps(kube(SET | {"status": {"conditions": [condition]}}))

    assert observed.stuck
    assert observed.failures == ("ApplicationSet apps: no route to host",)


def test_a_repository_without_apps_for_this_plex_is_a_failure() -> None:
    (failure,) = argocd.apps(kube()).failures

    assert "no apps/*/config.yml in git names this plex" in failure


def test_nothing_is_synced_before_argo_cd_is_installed() -> None:
    assert not argocd.apps(kube(None)).synced


def test_applications_of_other_application_sets_do_not_count() -> None:
    fake = FakeKube(SET, web=HEALTHY)
    fake.lists[f"{argocd.HERE}/applications"]["items"].append(application("mine", {}, "other"))

    assert [app.name for app in argocd.apps(cast(Kube, fake)).apps] == ["web"]


def test_a_refresh_annotates_the_set_and_its_applications() -> None:
    fake = FakeKube(SET, web=HEALTHY)
    argocd.refresh(cast(Kube, fake), ["web"])

    assert fake.annotated == [
        f"/applicationsets/apps {argocd.REFRESH_SET}",
        f"/applications/web {argocd.REFRESH}",
    ]
