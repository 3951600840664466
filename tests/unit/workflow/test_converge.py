"""Runs of `up`, `replace` and `scale` on a host and a cluster in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from plexctl.clients.kube.client import Kube
from plexctl.clients.kube.state import ClusterState
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import UnreachableHostError
from plexctl.keys.seed import RootSeed
from plexctl.model.events import Event, Intended, Noted, StepBegan, StepEnded
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.results.plex import UpResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.plex import converge, status
from plexctl.workflow.plex.verbs import replace as replace_nodes
from plexctl.workflow.plex.verbs import up
from tests.fake_incus import LOCAL, FakeIncus
from tests.fake_kube import FakeKube

IMAGE = "plex-kube-0123456789ab"
UNREACHABLE = UnreachableHostError("host far: Incus does not answer")


@dataclass
class Lab:
    """A lab with the plex demo, which has its master and demo3 on local and demo2 on far."""

    ctx: Context
    local: FakeIncus
    far: FakeIncus
    kube: FakeKube
    events: list[Event] = field(default_factory=list)
    super_admin_runs: list[bool] = field(default_factory=list)  # whether a run was super-admin

    def up(self, *, wait: bool = True) -> UpResult:
        self.forget()
        return up(self.ctx, self.ctx.lab.plexes["demo"], wait=wait)

    def scale(self, workers: int) -> UpResult:
        self.forget()
        return up(self.ctx, replace(self.ctx.lab.plexes["demo"], workers=workers))

    def replace(self, *names: str, drain: bool = True) -> UpResult:
        self.forget()
        return replace_nodes(self.ctx, self.ctx.lab.plexes["demo"], names, drain=drain)

    def forget(self) -> None:
        """Forget all calls and events of earlier runs."""
        for calls in (self.local.calls, self.far.calls, self.kube.calls, self.events):
            calls.clear()

    @property
    def steps(self) -> list[str]:
        return [event.title for event in self.events if isinstance(event, StepBegan)]

    @property
    def ends(self) -> dict[str, str]:
        """The text at the end of each step, by its title."""
        return {event.title: event.text for event in self.events if isinstance(event, StepEnded)}

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Noted)]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    plex = tmp_path / "clusters" / "demo" / "plex.yaml"
    plex.parent.mkdir(parents=True)
    plex.write_text("hosts: [local, far]\nworkers: 2\n")
    (tmp_path / "clusters" / "hosts.yaml").write_text(
        "hosts:\n"
        "  local: {address: 10.0.0.6}\n"
        "  far: {url: 'https://10.0.0.7:8443', certificate: '" + "00" * 32 + "',\n"
        "        facts: {cgroup: 1, sys_resource: false, cpus: 2, memory: 8GiB}}\n"
    )
    pins = load_pins(architecture="amd64")
    found = load_lab(tmp_path, pins.versions())
    hosts = {name: FakeIncus(replace(LOCAL, name=name)) for name in ("local", "far")}
    for host in hosts.values():
        host.images.add(IMAGE)
    kube = FakeKube("demo1", hosts)
    seed = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))
    events: list[Event] = []
    ctx = Context(found, seed, pins, hosts, DirectEngine(hosts), tmp_path, events.append)

    super_admin_runs: list[bool] = []

    @contextmanager
    def cluster(*_: object, super_admin: bool) -> Iterator[Kube]:
        super_admin_runs.append(super_admin)
        yield kube

    names = {(host, "kube"): IMAGE for host in hosts}
    monkeypatch.setattr(converge, "cluster", cluster)
    monkeypatch.setattr(converge, "names_of_images", lambda *_: names)
    monkeypatch.setattr(status, "read_state", lambda _: ClusterState(kube.nodes(), (1, 1)))
    return Lab(ctx, hosts["local"], hosts["far"], kube, events, super_admin_runs)


def test_a_new_plex_is_created_and_then_waited_for(lab: Lab) -> None:
    result = lab.up()

    assert lab.steps == [
        "create instances",
        "wait until the API of demo answers",
        "wait until all 3 nodes of demo are Ready",
        "wait until DNS of demo answers",
    ]
    assert lab.ends["create instances"] == "3 created"
    assert [(row.name, row.instance, row.ready) for row in result.nodes] == [
        ("demo1", "Running", True),
        ("demo2", "Running", True),
        ("demo3", "Running", True),
    ]
    assert set(result.seconds) == {"api", "nodes", "dns", "all"}
    assert result.kubeconfig.exists()


def test_all_changes_are_recorded_before_the_first_one_is_applied(lab: Lab) -> None:
    intended: list[Intended] = []

    def before(call: str, name: str) -> None:
        if not intended:
            intended.extend(event for event in lab.events if isinstance(event, Intended))

    lab.local.before = before
    lab.up()

    assert intended[0].changes["instance/local/demo1"] == "create: missing"
    assert intended[0].changes["instance/far/demo2"] == "create: missing"


def test_workers_start_after_their_master(lab: Lab) -> None:
    order: list[str] = []
    for host in (lab.local, lab.far):
        host.before = lambda call, name: order.append(name) if call == "instances.start" else None

    lab.up()

    assert order[0] == "demo1"


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    lab.up()
    result = lab.up()

    assert result.changes == ()
    assert lab.ends["change instances"] == "unchanged"
    assert [name for _, name in lab.local.calls + lab.far.calls] == []


def test_a_run_that_does_not_wait_ends_after_the_changes(lab: Lab) -> None:
    result = lab.up(wait=False)

    assert lab.steps == ["create instances"]
    assert result.nodes == ()
    assert set(result.seconds) == {"all"}


def test_a_replaced_worker_is_drained_and_registers_again(lab: Lab) -> None:
    lab.up()
    result = lab.replace("demo2")

    assert lab.steps[:2] == ["drain demo2", "replace instances"]
    assert lab.kube.calls == [("cordon", "demo2"), ("delete_node", "demo2")]
    assert lab.far.names("instances.create") == ["demo2"]
    assert lab.local.names("instances.create") == []
    assert [(row.name, row.reason) for row in result.changes] == [("demo2", "requested")]


def test_only_a_run_that_creates_the_master_is_super_admin(lab: Lab) -> None:
    """Nothing can take the rights of that key away, and they are needed only while a master boots
    for the first time."""
    lab.up()
    lab.up()
    lab.replace("demo2")
    lab.replace("demo1")
    assert lab.super_admin_runs == [True, False, False, True]


def test_without_draining_only_the_node_object_is_deleted(lab: Lab) -> None:
    lab.up()
    lab.replace("demo2", drain=False)

    assert lab.steps[0] == "remove demo2"
    assert lab.kube.calls == [("delete_node", "demo2")]


def test_a_new_master_has_new_workers_and_nothing_is_drained(lab: Lab) -> None:
    lab.up()
    lab.replace("demo1")

    assert lab.steps[0] == "replace instances"
    assert lab.kube.calls == []
    assert lab.ends["replace instances"] == "3 replaced"


def test_workers_that_are_no_longer_wanted_are_drained_and_deleted(lab: Lab) -> None:
    lab.up()
    lab.scale(1)

    assert lab.steps[:2] == ["drain demo3", "delete instances"]
    assert lab.local.names("instances.delete") == ["demo3"]


def test_mixed_actions_have_a_title_of_their_own(lab: Lab) -> None:
    lab.up()
    lab.local.stop("demo3")
    lab.far.delete_instance("demo2")
    lab.up()

    assert "change instances" in lab.steps
    assert lab.ends["change instances"] == "1 created, 1 started"


def test_a_node_whose_object_was_deleted_registers_again(lab: Lab) -> None:
    lab.up()
    lab.kube.delete_node("demo3")
    lab.up()

    assert lab.notes == ["demo3 is not registered in the cluster: restart its kubelet"]
    assert lab.local.instances.scripts == ["systemctl restart kubelet"]


def test_an_unreachable_host_is_left_out_until_everything_else_is_done(lab: Lab) -> None:
    lab.far.down = UNREACHABLE

    with pytest.raises(UnreachableHostError) as error:
        lab.up()

    assert error.value.summary == UNREACHABLE.summary
    assert set(lab.local.instances.held) == {"demo1", "demo3"}
    assert lab.steps[-1] == "wait until DNS of demo answers"


def test_an_unreachable_host_of_the_master_ends_the_run_at_once(lab: Lab) -> None:
    lab.local.down = UNREACHABLE

    with pytest.raises(UnreachableHostError):
        lab.up()

    assert lab.steps == []
    assert lab.far.calls == []


def test_a_host_that_stops_answering_during_the_changes_is_left_out(lab: Lab) -> None:
    def before(call: str, _: str) -> None:
        if call == "instances.create":
            lab.far.down = UNREACHABLE

    lab.far.before = before
    with pytest.raises(UnreachableHostError):
        lab.up()

    assert lab.ends["create instances"] == UNREACHABLE.summary
    assert "wait until all 2 nodes of demo are Ready" in lab.steps


def test_an_interrupted_run_is_continued(lab: Lab) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("instances.start", "demo2"):
            raise KeyboardInterrupt

    lab.far.before = before
    with pytest.raises(KeyboardInterrupt):
        lab.up()
    lab.far.before = lambda call, name: None
    result = lab.up()

    assert [(row.name, row.reason) for row in result.changes] == [
        ("demo2", "creation was interrupted")
    ]
