"""Which clusters have their apps from the first second, and which get them from `up`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.bootstrap import argocd, flux
from plexctl.bootstrap import gitops as engines
from plexctl.clients.kube.client import Kube
from plexctl.keys.seed import RootSeed
from plexctl.model.events import Outcome
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.model.secret import Secret
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.gitops.delivery import (
    ArgocdDelivery,
    Delivery,
    Documents,
    FluxDelivery,
    additions,
)
from tests.unit.model.test_nodes import DEMO

GITOPS = Gitops(GitopsEngine.FLUX, AppSource(SourceKind.REGISTRY, ""), "clusters/demo", 60)
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
DOCUMENTS = Documents(GITOPS, (NAMESPACE,), (), ())


class Recorder:
    """A run and its step, which records the outcome."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[Recorder]:
        yield self

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome


def test_an_engine_is_part_of_a_new_cluster() -> None:
    context = cast(Context, SimpleNamespace(seed=RootSeed(Secret(bytes(32)))))
    of_argocd = replace(DOCUMENTS, gitops=replace(GITOPS, engine=GitopsEngine.ARGOCD))
    unknown = replace(DOCUMENTS, sync=({"apiVersion": "v1", "kind": "LimitRange"},))

    (born,) = additions(context, DEMO, DOCUMENTS)
    assert "/registry/namespaces/flux-system" in born.objects
    assert additions(context, DEMO, of_argocd) == (born,)
    assert additions(context, DEMO, unknown) == ()
    assert additions(context, replace(DEMO, genesis=False), DOCUMENTS) == ()


@pytest.mark.parametrize(
    ("new", "born", "namespace", "expected"),
    [
        (True, True, True, []),
        (True, True, False, ["install"]),  # the image has no program that writes etcd's contents
        (True, False, False, ["install"]),
        (False, True, True, ["install", "request"]),
        (False, False, True, ["install", "request"]),
    ],
)
@pytest.mark.parametrize("engine", [flux, argocd])
def test_an_engine_is_applied_unless_a_new_cluster_has_it(
    engine: ModuleType,
    new: bool,
    born: bool,
    namespace: bool,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def install(*_: Any) -> bool:
        calls.append("install")
        return True

    monkeypatch.setattr(engines, "install", install)
    monkeypatch.setattr(flux, "request_reconciliation", lambda *_: calls.append("request"))
    monkeypatch.setattr(engine, "is_born", lambda *_: namespace)
    recorder = Recorder()
    delivery: Delivery = ArgocdDelivery("demo", DOCUMENTS, born)
    if engine is flux:
        delivery = FluxDelivery("demo", DOCUMENTS, "OCIRepository", None, born)
    else:
        expected = [one for one in expected if one != "request"]  # Argo CD retries as often
    delivery.install(cast(Kube, None), cast(Run, recorder), new=new)

    assert calls == expected
    assert recorder.outcome is (Outcome.CHANGED if expected else Outcome.UNCHANGED)
