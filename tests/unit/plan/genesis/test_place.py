"""The nodes to which the pods of an addition are bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex, Taint
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.place import places

MASTER = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
TAINTED = Taint("disk", "slow", "NoSchedule")


def prefers(node: str) -> dict[str, Any]:
    one = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    preference = {"weight": 1, "preference": {"matchExpressions": [one]}}
    key = "preferredDuringSchedulingIgnoredDuringExecution"
    return {"nodeAffinity": {key: [preference]}}


def addition(*specs: dict[str, Any], replicas: int = 1, kind: str = "ReplicaSet") -> Addition:
    objects, pods = {}, {}
    for number, spec in enumerate(specs):
        owner = {"kind": kind, "uid": f"uid{number}"}
        objects[f"/owner{number}"] = {
            "metadata": {"uid": f"uid{number}"},
            "spec": {"replicas": replicas},
        }
        pods[f"/pod{number}"] = {"metadata": {"ownerReferences": [owner]}, "spec": spec}
    return Addition(objects, pods)


def chosen(plex: Plex, wanted: Addition) -> list[list[str]]:
    return [[node.name for node in one] for one in places(wanted, nodes(plex)).values()]


def test_pods_are_spread_over_the_workers(demo: Plex) -> None:
    spec = {"tolerations": [MASTER]}

    assert chosen(demo, addition(spec, spec, spec, spec)) == [
        ["demo2"],
        ["demo3"],
        ["demo1"],
        ["demo2"],
    ]
    assert chosen(replace(demo, workers=0), addition(spec, spec)) == [["demo1"], ["demo1"]]


def test_a_master_takes_only_pods_that_tolerate_its_taint(demo: Plex) -> None:
    assert chosen(demo, addition({}, {}, {})) == [["demo2"], ["demo3"], ["demo2"]]
    assert chosen(replace(demo, workers=0), addition({})) == [[]]


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "disk", "value": "slow"}, ["demo2"]),
        ({"key": "disk", "operator": "Exists"}, ["demo2"]),
        ({"operator": "Exists"}, ["demo2"]),
        ({"key": "disk", "value": "fast"}, []),
        ({"key": "disk", "operator": "Exists", "effect": "NoExecute"}, []),
    ],
)
def test_a_worker_with_a_taint_takes_what_tolerates_it(
    demo: Plex, toleration: dict[str, Any], expected: list[str]
) -> None:
    master, worker, _ = nodes(demo)
    members = (master, replace(worker, taints=(TAINTED,)))
    found = places(addition({"tolerations": [toleration]}), members)

    assert [node.name for node in found["/pod0"]] == expected


def test_a_selector_must_match_labels(demo: Plex) -> None:
    master, worker, other = nodes(demo)
    members = (master, worker, replace(other, labels=(("disk", "fast"),)))

    def node(selector: dict[str, str]) -> list[str]:
        found = places(addition({"nodeSelector": selector}), members)["/pod0"]
        return [one.name for one in found]

    assert node({"disk": "fast"}) == ["demo3"]
    assert node({"kubernetes.io/os": "linux"}) == ["demo2"]
    assert node({"disk": "slow"}) == []


def test_a_preferred_node_comes_first(demo: Plex) -> None:
    spec = {"tolerations": [MASTER], "affinity": prefers("demo1")}

    assert chosen(demo, addition(spec, replicas=2)) == [["demo1", "demo2"]]


def test_the_scheduler_places_what_has_further_requirements(demo: Plex) -> None:
    key = "requiredDuringSchedulingIgnoredDuringExecution"

    assert chosen(demo, addition({"affinity": {"podAntiAffinity": {key: [{}]}}})) == [[]]


def test_a_daemon_set_has_a_pod_on_each_node(demo: Plex) -> None:
    assert chosen(demo, addition({}, kind="DaemonSet")) == [["demo1", "demo2", "demo3"]]


@pytest.mark.parametrize(
    ("policy", "expected"), [({}, 1), ({"podManagementPolicy": "Parallel"}, 3)]
)
def test_pods_of_a_stateful_set_follow_one_another(
    demo: Plex, policy: dict[str, str], expected: int
) -> None:
    wanted = addition({"tolerations": [MASTER]}, replicas=3, kind="StatefulSet")
    wanted.objects["/owner0"]["spec"] |= policy

    (found,) = chosen(demo, wanted)
    assert len(found) == expected
