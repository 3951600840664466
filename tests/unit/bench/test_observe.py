"""Instants are taken of what the API says, and the processor time until each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plexctl.errors import PlexError
from tests.bench import observe as observing
from tests.bench.machine import Usage
from tests.bench.measures import CONTAINER, DNS, DNS_PROCESSOR
from tests.bench.observe import MIRROR, Cluster, Observed, observe
from tests.bench.results import Results
from tests.bench.stats import PLEXCTL
from tests.bench.steps import up

RUNNING = {"containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}
WAITING = {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}


@dataclass(slots=True)
class FakeApi:
    """Answers of the API, one after the other; the last one again and again."""

    answers: list[Mapping[str, Any]]

    def get(self, path: str) -> Any:
        assert path == "/api/v1/pods?resourceVersion=0"
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass(slots=True)
class FakeCluster(Cluster):
    """Its node is Ready at the second look."""

    looks: int = 0

    def ready(self) -> dict[str, str]:
        self.looks += 1
        return {"demo1": "uid"} if self.looks > 1 else {}


def pods(*found: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return {"items": [{"metadata": metadata, "status": status} for metadata, status in found]}


def cluster(folder: Path, *answers: dict[str, Any]) -> FakeCluster:
    found = FakeCluster("demo", folder / "kubeconfig", folder, 0)
    found._api = FakeApi(list(answers))  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("found", "runs"),
    [
        (pods(), False),
        (pods(({}, {})), False),
        (pods(({}, WAITING)), False),
        (pods(({"annotations": {MIRROR: "hash"}}, RUNNING)), False),
        (pods(({}, WAITING), ({"annotations": {"other": ""}}, RUNNING)), True),
    ],
)
def test_a_static_pod_is_not_the_first_container(
    tmp_path: Path, found: dict[str, Any], runs: bool
) -> None:
    assert cluster(tmp_path, found).runs_pods() is runs


def test_each_instant_comes_with_the_processor_time_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed, spent = Observed(), iter(range(100))

    def usage() -> Usage:
        return Usage(float(next(spent)), 0.0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(observing, "usage", usage)
    one = cluster(tmp_path, pods(), pods(), pods(({}, RUNNING)))

    observe(observed, ["true"], one, {}, also=["container"])

    assert list(observed.instants) == ["ready", "container"]
    assert [used.processor for used in observed.used.values()] == [1.0, 2.0]
    assert observed.instants["ready"] <= observed.instants["container"]


def test_what_came_before_a_failure_is_recorded(tmp_path: Path) -> None:
    results = Results(frozenset({"ready", "container", "dns"}))
    record = results.record(PLEXCTL, 1)

    class Side:
        up = ("up",)

        def observe(self, observed: Observed, _: object, *, also: list[str]) -> None:
            assert also == ["container", "dns"]
            used = Usage(7.5, 0.0, 1.0, 1.0, 1.0)
            observed.instants |= {"ready": 5.0, "container": 5.5}
            observed.used |= {"ready": used, "container": used}
            raise PlexError("DNS does not answer")

    with pytest.raises(PlexError):
        up(2, pods=True).act(Side(), record)  # type: ignore[arg-type]

    assert {"ready", "ready-processor", "container"} <= record.done
    assert not record.done & {DNS.name, DNS_PROCESSOR.name}
    assert [s.value for s in results.samples if s.measure == CONTAINER.name] == [5.5]
