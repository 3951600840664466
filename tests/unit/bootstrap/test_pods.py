"""Pods of a cluster that was away: the API has their old states at first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from plexctl.bootstrap.pods import ReturningPods
from plexctl.clients.kube.client import Kube

STARTED = datetime(2026, 11, 30, 9, 0, 0, 400_000, tzinfo=UTC)


class Pods:
    """An API with these pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.now = list(pods)

    def read(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/pods"
        return {"items": self.now}


def pod(name: str, seconds: float, *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    """A pod on demo1 whose container has started `seconds` after its node."""
    at = (STARTED + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": name, "namespace": "x", "uid": name, **metadata},
        "spec": {"nodeName": "demo1"},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": {"running": {"startedAt": at}}}],
        },
    }


def returning(api: Pods) -> ReturningPods:
    return ReturningPods(cast("Kube", api), {"demo1": STARTED})


def looks(api: Pods, found: ReturningPods, states: Iterable[list[dict[str, Any]]]) -> list[bool]:
    condition = found.condition("demo")
    answers = []
    for state in states:
        api.now = state
        answers.append(condition.probe().holds)
    return answers


def test_a_pod_is_back_once_its_containers_have_started_after_its_node() -> None:
    api = Pods()
    found = returning(api)
    states = [[pod("a", -3600)], [pod("a", 2, ready=False)], [pod("a", 2)]]
    assert looks(api, found, states) == [False, False, True]
    assert found.left == ()


def test_times_of_the_api_are_whole_seconds() -> None:
    api = Pods()
    assert looks(api, returning(api), [[pod("a", 0.2)]]) == [True]


def test_what_was_not_ready_is_gone_or_is_a_static_pod_is_not_waited_for() -> None:
    static = pod("etcd", -3600, ownerReferences=[{"kind": "Node", "name": "demo1"}])
    leaving = pod("old", -3600, deletionTimestamp="2026-11-30T09:00:00Z")
    broken = pod("broken", -3600, ready=False)
    api = Pods()
    found = returning(api)
    assert looks(api, found, [[static, leaving, broken]]) == [True]
    api = Pods()
    found = returning(api)
    assert looks(api, found, [[pod("a", -3600)], []]) == [False, True]


def test_pods_that_are_late_are_named() -> None:
    api = Pods()
    found = returning(api)
    looks(api, found, [[pod("b", -3600), pod("a", -3600)]])
    assert found.left == ("x/a", "x/b")
