"""Runs of `up`, `replace` and `scale` on a host and a cluster in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import cast

import pytest
import typer

from plexctl.bake.baker import BAKER, this_process
from plexctl.bake.claims import labs_of
from plexctl.cli import plan as cli_plan
from plexctl.clients.kube.client import CertificateError, Kube, NodeStatus
from plexctl.clients.kube.state import ClusterState
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.keys import validity
from plexctl.keys.seed import RootSeed
from plexctl.model.condition import TimedOutError
from plexctl.model.events import Event, Intended, Noted, StepBegan, StepEnded
from plexctl.model.observed import ObservedInstance, ObservedNetwork
from plexctl.model.registry import TYPE as REGISTRY
from plexctl.model.registry import Registry
from plexctl.model.routes import Route
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.read import read_hosts
from plexctl.render import plex_text
from plexctl.results.changes import PlanResult
from plexctl.results.status import StatusResult
from plexctl.results.up import UpResult
from plexctl.workflow.core import clock, prefetch
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.prefetch import Here
from plexctl.workflow.plex import converge, networks, status
from plexctl.workflow.plex import plan as planning
from plexctl.workflow.plex.verbs import destroy, up
from plexctl.workflow.plex.verbs import replace as replace_nodes
from plexctl.workflow.registry import networks as registry_networks
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
    monkeypatch.setattr(planning, "names_of_images", lambda *_: names)
    monkeypatch.setattr(networks, "local_routes", lambda: ())
    monkeypatch.setattr(status, "has_interface", lambda _: True)
    monkeypatch.setattr(status, "read_state", lambda _: ClusterState(kube.nodes(), 1))
    return Lab(ctx, hosts["local"], hosts["far"], kube, events, super_admin_runs)


def test_objects_with_a_lab_tag_of_32_bits_get_the_whole_one_and_nothing_is_replaced(
    lab: Lab,
) -> None:
    lab.up()
    parts = [(h, p) for h in (lab.local, lab.far) for p in (h.instances, h.networks, h.profiles)]
    for _, part in parts:
        for name, one in part.held.items():
            part.held[name] = replace(one, tags={**one.tags, "lab": one.tags["lab"][:8]})
    uuids = {i.name: i.uuid for i in lab.local.instances.held.values()}

    result = lab.up()

    assert result.changes == ()
    assert "write the identifier of the lab, of 128 bits, on 7 objects" in lab.steps
    assert {i.name: i.uuid for i in lab.local.instances.held.values()} == uuids
    assert {one.tags["lab"] for _, part in parts for one in part.held.values()} == {
        lab.ctx.seed.lab_id
    }
    assert not {call for call, _ in lab.local.calls + lab.far.calls} & {
        "instances.create",
        "instances.delete",
        "networks.put",
        "profiles.put",
    }

    lab.up()
    assert not lab.local.names("instances.set_tags")


def test_a_plex_marks_its_image_once_as_used_by_the_lab(lab: Lab) -> None:
    """`bake --prune` of another lab deletes images that no lab has marked."""
    lab.up()
    assert [labs_of(one.images.held[0]) for one in (lab.local, lab.far)] == [
        {lab.ctx.seed.lab_id}
    ] * 2

    lab.up()
    assert not lab.local.names("images.set_properties")


@pytest.mark.parametrize("verb", ["up", "destroy"])
def test_what_a_killed_bake_of_another_lab_left_is_swept_by_whoever_comes_next(
    lab: Lab, verb: str
) -> None:
    here = this_process()
    for name, pid in (("left", 2**22 + 1), ("running", os.getppid())):
        tags = {"lab": "0" * 32, "bake": "plex-x", BAKER: str(replace(here, pid=pid, start=""))}
        if name == "running":
            tags[BAKER] = str(replace(here, machine="another"))
        lab.far.instances.held[name] = ObservedInstance(name, "Running", tags, True, "", "")

    lab.up() if verb == "up" else destroy(lab.ctx, "demo")

    assert "left" not in lab.far.instances.held
    assert "running" in lab.far.instances.held
    assert "what an interrupted bake left on host far is deleted" in lab.notes


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


def test_a_role_of_the_lab_is_asked_about_only_if_an_image_is_missing(lab: Lab) -> None:
    role = lab.ctx.lab.root / "roles" / "box" / "tasks" / "box.yml"
    role.parent.mkdir(parents=True)
    role.write_text("[]\n")
    lab.up()

    for host in (lab.local, lab.far):
        host.images.held.clear()
    before = dict(lab.local.instances.held)
    with pytest.raises(UsageError, match="refusing to run parts of this lab"):
        lab.up()
    assert lab.local.instances.held == before


def queries(lab: Lab) -> list[str]:
    return sorted(lab.local.instances.queries + lab.far.instances.queries)


def test_dns_is_queried_on_every_node_that_is_waited_for(lab: Lab) -> None:
    """On a node whose kube-proxy is late, DNS does not answer, however ready CoreDNS is."""
    lab.far.instances.without_dns["demo2"] = 2
    lab.up()
    assert queries(lab) == ["demo1", "demo2", "demo2", "demo2", "demo3"]

    for host in (lab.local, lab.far):
        host.instances.queries.clear()
    lab.replace("demo2")
    assert queries(lab) == ["demo2"]
    lab.up()
    assert queries(lab) == ["demo2"]
    assert lab.steps[-1] == "wait until CoreDNS of demo is available"


def test_a_host_that_stops_answering_during_the_queries_is_left_out(lab: Lab) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("instances.execute", "demo2"):
            lab.far.down = UNREACHABLE

    lab.far.before = before
    with pytest.raises(UnreachableHostError) as error:
        lab.up()
    assert error.value.details == ("not changed: demo2", "everything else is done")
    assert lab.ends["wait until DNS of demo answers"] == ""


def test_a_node_without_dns_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plexctl.bootstrap.wait.DNS", 0.5)
    lab.far.instances.without_dns["demo2"] = 10**9
    with pytest.raises(TimedOutError) as error:
        lab.up()
    assert error.value.details[0] == (
        "last observed: demo2: 10.98.160.10 does not answer: timed out"
    )


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


def test_a_node_that_was_just_started_has_time_to_register(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a killed `replace`: the node is there, and its kubelet registers in a moment."""
    lab.up()
    lab.kube.registering["demo3"] = 3
    lab.local.instances.kubelet_ages["demo3"] = 2
    monkeypatch.setattr("plexctl.workflow.plex.repair.EVERY", 0.0)
    lab.up()

    assert lab.notes == []
    assert lab.local.instances.scripts == []


def test_a_young_kubelet_that_does_not_register_is_restarted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up()
    lab.kube.delete_node("demo3")
    lab.local.instances.kubelet_ages["demo3"] = 0
    monkeypatch.setattr("plexctl.workflow.plex.repair.FIRST", 0.5)
    monkeypatch.setattr("plexctl.workflow.plex.repair.EVERY", 0.01)
    began = time.monotonic()
    lab.up()

    assert lab.local.instances.scripts == ["systemctl restart kubelet"]
    assert time.monotonic() - began > 0.5


def test_a_node_that_a_killed_run_has_cordoned_is_uncordoned_and_no_other(lab: Lab) -> None:
    lab.up()
    lab.kube.cordoned = {"demo2": True, "demo3": False}
    result = lab.up()

    assert lab.kube.calls == [("uncordon", "demo2")]
    assert lab.notes == ["demo2 was cordoned by an interrupted run: uncordon it"]
    assert [row.note for row in result.nodes] == ["", "", "cordoned"]


def test_a_plex_with_a_cordoned_or_paused_node_is_not_healthy(lab: Lab) -> None:
    plex = lab.ctx.lab.plexes["demo"]

    def state() -> StatusResult:
        hosts = Here().ask(read_hosts, lab.ctx.hosts, plex.hosts)
        return status.status(lab.ctx, plex, hosts, Here())

    lab.up()
    assert state().healthy
    lab.kube.cordoned = {"demo3": False}
    assert not state().healthy
    assert "  cordoned: demo3" in plex_text.status(state())
    lab.kube.cordoned = {}
    lab.far.instances.held["demo2"] = replace(lab.far.instances.held["demo2"], status="Frozen")
    assert not state().healthy
    assert "  not running: demo2" in plex_text.status(state())
    lab.far.delete_instance("demo2")
    assert "  not running: demo2" in plex_text.status(state())


def test_a_paused_instance_is_resumed(lab: Lab) -> None:
    lab.up()
    lab.far.instances.held["demo2"] = replace(lab.far.instances.held["demo2"], status="Frozen")
    result = lab.up()

    assert [(row.action, row.name, row.reason) for row in result.changes] == [
        ("start", "demo2", "is frozen")
    ]
    assert lab.far.instances.held["demo2"].status == "Running"


def planned(lab: Lab) -> PlanResult:
    plex = lab.ctx.lab.plexes["demo"]
    return planning.plan(lab.ctx, plex, Here().ask(read_hosts, lab.ctx.hosts, ("local", "far")))


@pytest.mark.parametrize(
    ("down", "unknown", "text", "code"),
    [
        ((), (), "demo: nothing to do", 0),
        (("far",), ("demo2",), "demo: not known: demo2", 1),
        (("local",), ("demo1", "demo3"), "demo: not known: demo1, demo3", 1),
    ],
)
def test_what_an_unreachable_host_has_is_not_known_to_a_plan(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    down: tuple[str, ...],
    unknown: tuple[str, ...],
    text: str,
    code: int,
) -> None:
    """It is another answer than "nothing to do", and another code."""
    lab.up()
    for host in (lab.local, lab.far):
        host.down = UNREACHABLE if host.name in down else None
    result = planned(lab)
    assert (result.unknown, result.changes) == (unknown, ())
    assert plex_text.plan(result).splitlines()[-1] == text
    assert ("nothing to do" in plex_text.plan(result)) == (not down)

    monkeypatch.setattr(cli_plan, "lab", lambda *_, **__: nullcontext(lab.ctx))
    monkeypatch.setattr(prefetch, "prefetcher", lambda: nullcontext(Here()))
    ended = 0
    try:
        cli_plan.plan(cast(typer.Context, None), "demo")
    except typer.Exit as error:
        ended = error.exit_code
    assert ended == code


def test_changes_beside_an_unreachable_host_are_still_changes(lab: Lab) -> None:
    lab.far.down = UNREACHABLE
    result = planned(lab)
    assert not result.empty
    assert plex_text.plan(result).splitlines()[-1] == "demo: not known: demo2"


def test_networks_that_others_have_are_named_before_anything_is_created(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = lab.ctx.lab.plexes["demo"].networks
    inside = IPv4Network((wanted.pods.network_address, 24))
    lab.far.networks.held["plex-other"] = ObservedNetwork(
        "plex-other", {"lab": "x", "plex": "other"}, (wanted.nodes,)
    )
    lab.local.networks.held["docker0"] = ObservedNetwork("docker0", {})
    monkeypatch.setattr(
        networks,
        "local_routes",
        lambda: (
            Route(inside, "docker0", connected=True),
            Route(IPv4Network("10.0.0.0/8"), "tun0", connected=False),
        ),
    )
    for call in (lab.up, lambda: planned(lab)):
        with pytest.raises(UsageError) as error:
            call()
        assert error.value.summary == (
            "refusing to create networks for demo: they overlap with others"
        )
        assert error.value.details == (
            f"pods {wanted.pods}: interface docker0 of host local has a route to {inside}",
            f"nodes {wanted.nodes}: network plex-other (plex other) of host far has {wanted.nodes}",
        )
        assert "these are free: write `networks: {nodes: 10.64." in str(error.value.hint)
    assert lab.local.names("networks.put") == lab.far.names("networks.put") == []
    assert lab.local.instances.held == {}


def test_a_network_of_the_registry_that_others_have_is_named_by_a_plan(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry("registry", IPv4Network("10.64.63.0/24"), ())
    lab.ctx = replace(lab.ctx, lab=replace(lab.ctx.lab, registry=registry))
    images = {(host, REGISTRY): "plex-registry-0123456789ab" for host in ("local", "far")}
    monkeypatch.setattr(planning, "registry_images", lambda _: images)
    monkeypatch.setattr(registry_networks, "local_routes", lambda: ())
    lab.far.networks.held["plex-other"] = ObservedNetwork("plex-other", {}, (registry.network,))
    with pytest.raises(UsageError, match="refusing to create the network of the registry") as error:
        planned(lab)
    assert error.value.details == (
        f"registry.network {registry.network}: network plex-other of host far has "
        f"{registry.network}",
    )


def test_a_plex_that_exists_is_not_refused_because_of_networks(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up()
    nodes = lab.ctx.lab.plexes["demo"].networks.nodes
    routes = (Route(nodes, "plex-demo", connected=True), Route(nodes, "docker0", connected=True))
    monkeypatch.setattr(networks, "local_routes", lambda: routes)
    assert lab.up().changes == ()


def test_status_calls_no_api_where_no_plex_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses may be those of others, and the call would leave this machine."""
    monkeypatch.setattr(status, "has_interface", lambda _: False)

    def called(_: object) -> ClusterState:
        raise AssertionError

    monkeypatch.setattr(status, "read_state", called)
    plex = lab.ctx.lab.plexes["demo"]

    def state() -> StatusResult:
        hosts = Here().ask(read_hosts, lab.ctx.hosts, plex.hosts)
        return status.status(lab.ctx, plex, hosts, Here())

    assert state().api == "the master does not run"
    lab.local.down = UNREACHABLE
    assert state().api == "not called: this machine has no interface plex-demo"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            datetime(2037, 11, 29, tzinfo=UTC),
            "2037-11-29, and the certificates of demo end on",
        ),
        (
            datetime(2024, 1, 2, tzinfo=UTC),
            "2024-01-02, and the certificates of demo begin on",
        ),
    ],
)
def test_a_wrong_clock_is_named_before_anything_changes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, now: datetime, said: str
) -> None:
    lab.up()
    fault = validity.clock_fault
    for module in (clock, status):
        monkeypatch.setattr(module, "clock_fault", lambda plex: fault(plex, now))
    hosts = Here().ask(read_hosts, lab.ctx.hosts, ("local", "far"))
    plex = lab.ctx.lab.plexes["demo"]
    for call in (lab.up, lambda: lab.replace("demo2"), lambda: planning.plan(lab.ctx, plex, hosts)):
        with pytest.raises(PlexError) as error:
            call()
        assert error.value.summary.startswith(f"this machine's clock says {said}")
        assert "set the clock" in str(error.value.hint)
    assert lab.local.calls == lab.far.calls == lab.kube.calls == []
    state = status.status(lab.ctx, plex, hosts, Here())
    assert not state.healthy
    assert f"  API: this machine's clock says {said}" in plex_text.status(state)


def test_a_clock_of_a_host_that_accepts_no_certificate_is_named_before_anything_changes(
    lab: Lab,
) -> None:
    lab.up()
    lab.far.clock_difference = -30 * 365 * 86400.0
    for call in (lab.up, lambda: lab.replace("demo2"), lambda: planned(lab)):
        with pytest.raises(PlexError) as error:
            call()
        assert error.value.summary.startswith("the clock of host far says ")
        assert error.value.summary.endswith("and the certificates of demo begin on 2026-01-01")
        assert "set the clock of that machine" in str(error.value.hint)
    assert lab.local.calls == lab.far.calls == lab.kube.calls == []


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (290.0, None),
        (-290.0, None),
        (310.0, "5 minutes ahead of"),
        (-3600.0, "60 minutes behind"),
        (9 * 3600.0, "9 hours ahead of"),
        (-100 * 86400.0, "100 days behind"),
    ],
)
def test_a_clock_of_a_host_that_differs_is_named_before_anything_changes(
    lab: Lab, offset: float, said: str | None
) -> None:
    named: list[bool] = []
    lab.far.before = lambda call, _: named.append(bool(lab.notes))
    lab.far.clock_difference = offset
    wanted = [f"the clock of host far is {said} this machine's"] if said else []

    assert list(planned(lab).notes) == wanted
    assert plex_text.plan(planned(lab)).splitlines()[0] == (
        f"note: {wanted[0]}" if wanted else "+ create acl plex-demo on local"
    )
    lab.up()

    assert lab.notes == wanted
    assert set(named) == {bool(said)}
    hosts = Here().ask(read_hosts, lab.ctx.hosts, ("local", "far"))
    state = status.status(lab.ctx, lab.ctx.lab.plexes["demo"], hosts, Here())
    assert list(state.notes) == wanted


def test_no_worker_is_replaced_undrained_because_of_a_certificate(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.up()
    refused = CertificateError("the connection is not trusted", details=("expired",))

    def nodes() -> tuple[NodeStatus, ...]:
        raise refused

    monkeypatch.setattr(lab.kube, "nodes", nodes)
    with pytest.raises(PlexError) as error:
        lab.replace("demo2")
    assert error.value.summary == (
        "refusing to delete demo2 without draining: the connection is not trusted"
    )
    assert error.value.details == ("expired",)
    assert lab.far.calls == []


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


OTHER = "plex-kube-ba9876543210"


@pytest.fixture
def changed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose plex is up, and whose nodes have another image now."""
    lab.up()
    names = {(host, "kube"): OTHER for host in ("local", "far")}
    for host in (lab.local, lab.far):
        host.images.add(OTHER)
    monkeypatch.setattr(converge, "names_of_images", lambda *_: names)
    monkeypatch.setattr(planning, "names_of_images", lambda *_: names)
    lab.forget()
    return lab


def test_up_does_not_replace_a_cluster_without_consent(changed: Lab) -> None:
    with pytest.raises(UsageError, match="refusing to replace a cluster without -y") as refused:
        changed.up()
    assert refused.value.details == (
        "the cluster of demo loses all its objects and data: demo1 is deleted (image, files or"
        " settings changed)",
    )
    assert "plexctl upgrade demo" in (refused.value.hint or "")
    assert not changed.local.names("instances.delete")


def test_a_user_who_is_asked_may_agree_or_refuse(changed: Lab) -> None:
    asked: list[str] = []

    def refuse(loss: str, keep: str) -> None:
        asked.append(loss)
        raise PlexError("nothing was changed")

    changed.ctx = replace(changed.ctx, consent=refuse)
    with pytest.raises(PlexError, match="nothing was changed"):
        changed.up()
    assert not changed.local.names("instances.delete")
    changed.ctx = replace(changed.ctx, consent=lambda loss, keep: asked.append(loss))
    assert [one.action for one in changed.up().changes] == ["replace"] * 3
    assert len(asked) == 2


def test_who_has_agreed_is_not_asked(changed: Lab) -> None:
    result = up(changed.ctx, changed.ctx.lab.plexes["demo"], lose_cluster=True)
    assert [one.action for one in result.changes] == ["replace"] * 3


def test_a_plan_says_that_the_cluster_would_be_lost(changed: Lab) -> None:
    result = planned(changed)
    assert result.loss.startswith("the cluster of demo loses all its objects and data: demo1 ")
    assert plex_text.plan(result).splitlines()[-1] == (
        f"{result.loss}; `plexctl upgrade demo` keeps them"
    )


def test_what_ends_no_cluster_asks_nobody(lab: Lab) -> None:
    lab.up()
    lab.replace("demo2")
    lab.replace("master")
    lab.local.delete_instance("demo1")
    assert [one.action for one in lab.up().changes] == ["create", "replace", "replace"]
    one = lab.local.instances.held["demo1"]
    lab.local.instances.held["demo1"] = replace(one, started=False)
    assert planned(lab).loss == ""
    lab.up()
