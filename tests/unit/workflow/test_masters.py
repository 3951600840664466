"""Masters join and leave a cluster in memory: in what order, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plexctl.bootstrap.etcd import Member
from plexctl.bootstrap.shape import CONFIGURATION, COREDNS, PROXY
from plexctl.errors import PlexError
from plexctl.model.plex import Node
from plexctl.plan.documents import dump
from plexctl.plan.kubernetes.kubeadm import cluster_configuration
from plexctl.plan.plan import joining
from plexctl.workflow.plex import masters
from plexctl.workflow.plex.verbs import replace as replace_nodes
from plexctl.workflow.plex.verbs import up

from .test_converge import Lab, lab

assert lab  # a fixture

Call = tuple[str, ...]


@dataclass
class Control:
    """The members of etcd and the programs of masters, and what was done to them, in order."""

    lab: Lab
    members: list[str] = field(default_factory=list)
    lame: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)  # members that are lame once they have joined
    alone: set[str] = field(default_factory=set)  # masters whose controllers elect no leader
    calls: list[Call] = field(default_factory=list)
    away: int = 0  # calls that the API does not answer after its address has moved

    def moved(self) -> None:
        self.lab.kube.unanswered_probes = self.away


@pytest.fixture
def control(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Control:
    found = Control(lab)
    lab.kube.dns_pods = 2
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    lab.kube.objects[COREDNS] = {
        "metadata": {"generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, **counts},
    }

    class Etcd:
        def __init__(self, _plex: str, asked: Sequence[Node], _hosts: object) -> None:
            self.masters = asked

        def without(self, _name: str) -> Etcd:
            return self

        def members(self) -> tuple[Member, ...]:
            return tuple(
                Member(one, healthy=one not in found.lame, leads=False, learner=False)
                for one in found.members
            )

        def remove(self, name: str) -> None:
            found.calls.append(("remove", name))
            found.members = [one for one in found.members if one != name]

        def add(self, name: str, _peer: str) -> tuple[str, ...]:
            found.calls.append(("add", name))
            return tuple(found.members)

        def promote(self, name: str) -> None:
            found.calls.append(("promote", name))
            found.members.append(name)
            found.lame |= {name} & found.failing
            lab.kube.control_plane.add(name)

    class HandOver:
        def __init__(self, *_: object) -> None: ...

        def works_alone(self, master: Node) -> bool:
            return master.name in found.alone

        def __getattr__(self, name: str) -> Any:
            def act(master: Node, *_: object) -> None:
                found.calls.append((name, master.name))
                if name in ("release", "take"):
                    found.moved()

            return act

    for one in (Etcd, HandOver):
        monkeypatch.setattr(masters, one.__name__, one)
    for host in (lab.local, lab.far):
        host.before = lambda call, name: found.calls.append((call.split(".")[-1], name))
    return found


def bring_up(lab: Lab, control: Control, count: int, workers: int) -> None:
    """A cluster with that many masters, which has run for a while."""
    shape(lab, count, workers)
    control.members = [f"demo{number}" for number in range(1, count + 1)]
    lab.kube.control_plane = set(control.members)
    control.alone = {"demo1"} if count == 1 else set()
    lab.forget()
    control.calls.clear()


def shape(lab: Lab, count: int, workers: int) -> None:
    lab.kube.masters = tuple(f"demo{number}" for number in range(1, 6))
    plex = lab.ctx.lab.plexes["demo"]
    dns = 2 if count > 1 else 1
    up(lab.ctx, replace(plex, masters=count, workers=workers, dns_replicas=dns))


def only(control: Control, *names: str) -> list[Call]:
    return [call for call in control.calls if call[0] in names]


def test_no_node_object_is_left_of_workers_whose_numbers_end(lab: Lab, control: Control) -> None:
    """The connection to the API breaks when its address moves, just before they leave."""
    bring_up(lab, control, 3, 2)
    control.away = 2

    shape(lab, 1, 2)

    assert {node.name for node in lab.kube.nodes()} == {"demo1", "demo2", "demo3"}
    gone = [name for call, name in lab.kube.calls if call == "delete_node"]
    assert sorted(gone) == ["demo1", "demo2", "demo3", "demo4", "demo5"]
    assert "no node is drained" not in "".join(lab.notes)


def test_the_only_master_gets_all_work_when_the_others_leave(lab: Lab, control: Control) -> None:
    bring_up(lab, control, 3, 2)

    shape(lab, 1, 2)

    assert control.members == ["demo1"]
    assert only(control, "remove", "add", "promote", "take", "work") == [
        ("remove", "demo1"),
        ("add", "demo1"),
        ("promote", "demo1"),
        ("take", "demo1"),
        ("take", "demo1"),
        ("remove", "demo3"),
        ("remove", "demo2"),
        # Its controllers were held back: they elect no leader with those that have left.
        ("work", "demo1"),
    ]
    assert [one["spec"]["replicas"] for one in lab.kube.patches] == [2, 1]


def test_masters_that_become_workers_are_there_before_other_workers_leave(
    lab: Lab, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pods of those that leave need a place: a PodDisruptionBudget may insist on it."""
    bring_up(lab, control, 3, 2)
    order: list[Call] = []
    delete_node = lab.kube.delete_node

    def deleted(name: str) -> None:
        order.append(("leaves", name))
        delete_node(name)

    monkeypatch.setattr(lab.kube, "delete_node", deleted)
    for host in (lab.local, lab.far):
        host.before = lambda call, name: order.append((call.split(".")[-1], name))

    shape(lab, 1, 2)

    begins = [order.index(("start", name)) for name in ("demo2", "demo3")]
    assert max(begins) < min(order.index(("leaves", name)) for name in ("demo4", "demo5"))


def test_the_first_master_hands_its_work_over_before_it_is_replaced(
    lab: Lab, control: Control
) -> None:
    bring_up(lab, control, 1, 4)
    control.away = 2

    shape(lab, 3, 2)

    assert control.members == ["demo2", "demo3", "demo1"]
    assert only(control, "promote", "release", "retire", "work", "delete") == [
        ("delete", "demo2"),
        ("promote", "demo2"),
        ("delete", "demo3"),
        ("promote", "demo3"),
        ("release", "demo1"),
        ("retire", "demo1"),
        ("work", "demo2"),
        ("work", "demo3"),
        ("delete", "demo1"),
        ("promote", "demo1"),
    ]
    applied = [kind for call, kind in lab.kube.calls if call == "apply"]
    assert applied == ["Endpoints", "EndpointSlice"] * 2


def test_controllers_wait_on_masters_that_join_one_that_elects_no_leader(
    lab: Lab, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[str, bool] = {}

    def noted(plan: Any, name: str, inputs: Any, join: Any) -> Any:
        held[name] = join.hold
        return joining(plan, name, inputs, join)

    monkeypatch.setattr(masters, "joining", noted)
    bring_up(lab, control, 1, 4)
    shape(lab, 3, 2)
    assert held == {"demo2": True, "demo3": True, "demo1": False}

    lab.forget()
    control.alone = set()
    shape(lab, 1, 2)
    assert held["demo1"]


def test_one_of_several_is_replaced_without_a_change_of_the_others(
    lab: Lab, control: Control
) -> None:
    bring_up(lab, control, 3, 2)
    plex = replace(lab.ctx.lab.plexes["demo"], masters=3, workers=2, dns_replicas=2)

    replace_nodes(lab.ctx, plex, ("demo2",))

    assert control.members == ["demo1", "demo3", "demo2"]
    assert only(control, "release", "retire", "work", "take") == []
    assert lab.far.instances.scripts == ["systemctl stop keepalived"]


def test_a_master_is_not_replaced_if_too_few_others_are_healthy(lab: Lab, control: Control) -> None:
    bring_up(lab, control, 3, 2)
    control.lame = {"demo1"}
    plex = replace(lab.ctx.lab.plexes["demo"], masters=3, workers=2, dns_replicas=2)

    with pytest.raises(PlexError, match="refusing to replace demo2") as refused:
        replace_nodes(lab.ctx, plex, ("demo2",))

    assert refused.value.details == ("etcd of demo1 does not answer",)
    assert only(control, "delete", "remove") == []


def test_masters_do_not_leave_one_that_is_not_healthy(lab: Lab, control: Control) -> None:
    bring_up(lab, control, 3, 0)
    control.failing = {"demo1"}

    with pytest.raises(PlexError, match="refusing to remove demo2, demo3") as refused:
        shape(lab, 1, 2)

    assert refused.value.details == ("etcd of demo1 does not answer",)
    assert control.members == ["demo2", "demo3", "demo1"]
    assert "demo2" not in [name for _, name in lab.kube.calls]


def test_the_cluster_follows_the_number_of_masters(lab: Lab, control: Control) -> None:
    bring_up(lab, control, 1, 2)
    plex = lab.ctx.lab.plexes["demo"]
    before = {**cluster_configuration(plex), "dns": {"imageTag": "kept"}}
    lab.kube.objects[CONFIGURATION] = {"data": {"ClusterConfiguration": dump(before)}}

    shape(lab, 3, 2)

    after = {**cluster_configuration(replace(plex, masters=3)), "dns": {"imageTag": "kept"}}
    assert lab.kube.objects[CONFIGURATION]["data"] == {"ClusterConfiguration": dump(after)}
    assert ("patch_lists", COREDNS) in lab.kube.calls
    assert ("patch_lists", PROXY) in lab.kube.calls
    dns = lab.kube.patches[0]["spec"]
    assert dns["replicas"] == 2
    assert "demo3" in str(dns["template"]["spec"]["affinity"])

    lab.forget()
    shape(lab, 3, 2)  # as it is already
    assert ("patch", CONFIGURATION) not in lab.kube.calls


def test_a_node_object_that_outlives_its_machine_is_deleted_at_the_end(
    lab: Lab, control: Control
) -> None:
    bring_up(lab, control, 1, 2)
    lab.kube.unanswered_probes = 1  # the API is away when the worker is to leave
    lab.kube.ghosts = {"demo3"}

    shape(lab, 1, 1)

    assert "no node is drained" in lab.notes[0]
    assert lab.notes[1].startswith("demo3 is deleted, and was still registered")
    assert lab.kube.calls == [("delete_node", "demo3")]


def test_masters_of_another_plex_on_the_host_are_not_asked(lab: Lab, control: Control) -> None:
    bring_up(lab, control, 3, 2)
    held = lab.local.instances.held
    tags = {**held["demo1"].tags, "plex": "demo-east"}
    held["demo-east1"] = replace(held["demo1"], name="demo-east1", tags=tags)
    demo = replace(lab.ctx.lab.plexes["demo"], masters=3, dns_replicas=2)
    replace_nodes(lab.ctx, demo, ["demo2"])
    assert sorted(control.members) == ["demo1", "demo2", "demo3"]
