"""The state of apps: synced, failed, stuck."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plexctl.model.apps import App, Apps, Sync, Workload, find_cycle, short

SOURCE = App("OCIRepository", "plex", "flux-system", Sync.READY, "", "tree@sha256:1")
RUNNING = Workload("Deployment", "web", "web", True, "1 of 1 available")


def app(name: str, sync: Sync = Sync.READY, *depends_on: str) -> App:
    return App("Kustomization", name, "flux-system", sync, f"{name} says", "", depends_on)


def test_apps_are_synced_once_they_are_applied_and_ready() -> None:
    assert Apps(SOURCE, (app("web"),), (RUNNING,)).synced
    assert Apps(SOURCE, (app("web"), app("held", Sync.SUSPENDED))).synced


@pytest.mark.parametrize(
    "apps",
    [
        Apps(None, (app("web"),)),
        Apps(SOURCE, ()),
        Apps(replace(SOURCE, sync=Sync.PROGRESSING), (app("web"),)),
        Apps(SOURCE, (app("web"), app("db", Sync.WAITING))),
        Apps(SOURCE, (app("web"),), (replace(RUNNING, ready=False),)),
    ],
)
def test_apps_are_not_synced_while_anything_is_missing(apps: Apps) -> None:
    assert not apps.synced
    assert not apps.stuck, "and nothing has failed yet"


def test_apps_are_stuck_when_only_failures_and_their_dependents_are_left() -> None:
    broken, after = app("broken", Sync.FAILED), app("after", Sync.WAITING, "broken")
    last = app("last", Sync.WAITING, "after")
    assert Apps(SOURCE, (broken, after, last, app("web"))).stuck
    assert not Apps(SOURCE, (broken, after, last, app("web", Sync.PROGRESSING))).stuck
    assert Apps(replace(SOURCE, sync=Sync.FAILED), ()).stuck


def test_a_container_that_cannot_start_is_a_failure() -> None:
    hopeless = replace(RUNNING, ready=False, failed=True, message="ImagePullBackOff")
    apps = Apps(SOURCE, (app("web"),), (hopeless,))
    assert apps.stuck
    assert apps.failures == ("Deployment web/web: ImagePullBackOff",)


def test_a_failed_app_that_is_retried_still_counts_as_failed() -> None:
    before = Apps(SOURCE, (app("broken", Sync.FAILED), app("web")))
    again = Apps(SOURCE, (app("broken", Sync.PROGRESSING), app("web", Sync.PROGRESSING)))
    assert [one.sync for one in again.after(before).apps] == [Sync.FAILED, Sync.PROGRESSING]

    another = replace(again, source=replace(SOURCE, revision="tree@sha256:2"))
    assert another.after(before) == another, "what it was tried with is another tree"
    mended = Apps(SOURCE, (app("broken"), app("web")))
    assert mended.after(before).synced


def test_the_summary_names_apps_that_are_not_ready() -> None:
    apps = Apps(SOURCE, (app("infra", Sync.PROGRESSING), app("web", Sync.WAITING), app("secrets")))
    assert apps.summary == "1 of 3 applied; infra progressing, web waiting"


def test_a_cycle_is_found_from_any_start() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ("b", "c", "b")
    assert find_cycle({"a": ["a"]}) == ("a", "a")
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["missing"]}) == ()


@pytest.mark.parametrize(
    ("revision", "shown"),
    [("main@sha1:0123456789abcdef", "main@sha1:01234567"), ("tree@sha256:ab", "tree@sha256:ab")],
)
def test_revisions_are_shown_short(revision: str, shown: str) -> None:
    assert short(revision) == shown
