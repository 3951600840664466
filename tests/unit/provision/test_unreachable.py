"""A host that does not answer: its objects stay, and work on other hosts goes on."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.observed import HostState, ObservedImage, ObservedNetwork, unreachable_reasons
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Resource
from plexctl.provision.change import DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.direct.tasks import Task, TaskId, run_tasks
from plexctl.provision.engine import ApplyJob
from plexctl.provision.read import read_instances
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .test_diff import NETWORK, OPTIONS, OWNER, PROFILE, instance, observed, state

UNREACHABLE = UnreachableHostError("host far: Incus does not answer", details=("timed out",))
FAR_NETWORK = replace(NETWORK, host="far")
FAR_PROFILE = replace(PROFILE, host="far", needs=(FAR_NETWORK.key,))
FAR = replace(instance(2), host="far", needs=(FAR_PROFILE.key,))
WANTED: tuple[Resource, ...] = (
    NETWORK,
    PROFILE,
    instance(1),
    FAR_NETWORK,
    FAR_PROFILE,
    FAR,
    instance(3),
)


def half_unreachable(*there: int) -> dict[str, HostState]:
    """Host local has these nodes; far does not answer."""
    local = state(*(observed(instance(number)) for number in there))
    return {**local, "far": HostState.of_unreachable("far", UNREACHABLE)}


def listed(found: dict[str, HostState], options: DiffOptions = OPTIONS) -> list[tuple[str, str]]:
    return [(change.action.value, change.name) for change in diff(WANTED, found, options)]


def test_an_unreachable_host_has_no_changes() -> None:
    assert listed(half_unreachable(1, 3)) == []
    assert listed(half_unreachable(1)) == [("create", "demo3")]
    options = DiffOptions(OWNER, replace=frozenset({FAR.key, instance(3).key}))
    assert listed(half_unreachable(1, 3), options) == [("replace", "demo3")]
    assert [c.host for c in diff((), half_unreachable(1), OPTIONS)] == ["local"] * 3


def test_workers_of_an_unreachable_master_stay_as_they_are() -> None:
    master = replace(instance(1), host="far")
    worker = replace(instance(3), parent=master.key)
    found = {**state(observed(worker)), "far": HostState.of_unreachable("far", UNREACHABLE)}

    assert diff((NETWORK, PROFILE, master, worker), found, OPTIONS) == ()


def test_states_list_why_hosts_are_unreachable() -> None:
    assert unreachable_reasons(half_unreachable(1).values()) == (
        "host far: Incus does not answer: timed out",
    )
    assert unreachable_reasons(state().values()) == ()


def failing_host(name: str, at: str = "") -> FakeIncus:
    """A host that stops answering at the call `at`."""
    image = ObservedImage("abc", ("plex-kube-0123456789ab",), {}, 1)
    incus = FakeIncus(replace(LOCAL, name=name), HostState(name, {}, {}, {}, (image,)))

    def before(call: str, _: str) -> None:
        if call == at:
            incus.down = UNREACHABLE

    incus.before = before
    return incus


@pytest.mark.parametrize(
    "at", ["networks.put", "instances.create", "instances.push", "instances.start"]
)
def test_work_on_other_hosts_goes_on_when_one_stops_answering(at: str) -> None:
    local, far = failing_host("local"), failing_host("far", at)
    engine = DirectEngine({"local": local, "far": far})
    states = engine.read(("local", "far"))
    changes = engine.diff(WANTED, states, OPTIONS)

    with pytest.raises(UnreachableHostError) as error:
        engine.apply(ApplyJob(WANTED, changes, states, "run9", NullReporter()))

    assert error.value is UNREACHABLE
    assert set(local.names("instances.start")) == {"demo1", "demo3"}
    assert at not in {call for call, _ in far.calls}


def test_reachable_hosts_are_read_without_an_unreachable_one() -> None:
    local, far = failing_host("local"), failing_host("far")
    far.down = UNREACHABLE
    engine = DirectEngine({"local": local, "far": far})

    states = engine.read(("local", "far", "local"))

    assert states["local"].unreachable is None
    assert states["far"] == HostState.of_unreachable("far", UNREACHABLE)
    with pytest.raises(UnreachableHostError) as error:  # where there is no other
        engine.read(("far",))
    assert error.value is UNREACHABLE


def test_instances_alone_are_read_of_the_hosts_that_answer() -> None:
    local, far = FakeIncus(), FakeIncus(replace(LOCAL, name="far"))
    local.networks.held["plex-demo"] = ObservedNetwork("plex-demo", {})
    far.down = UNREACHABLE

    states = read_instances({"local": local, "far": far}, ("local", "far"))

    assert states["local"].instances == local.instances.held
    assert states["local"].networks == {}
    assert states["far"] == HostState.of_unreachable("far", UNREACHABLE)
    with pytest.raises(UnreachableHostError):
        read_instances({"far": far}, ("far",))


def test_hosts_are_read_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=120)

    class Meeting(FakeIncus):
        def read(self) -> HostState:
            both.wait()
            return super().read()

    found = {name: Meeting(replace(LOCAL, name=name)) for name in ("a", "b")}
    assert set(DirectEngine(found).read(("a", "b"))) == {"a", "b"}


def fail(error: PlexError) -> None:
    raise error


OTHER = UnreachableHostError("host near: Incus does not answer", hint="is it up?")


def failures(*errors: PlexError) -> PlexError:
    ids = (TaskId(Key(Kind.INSTANCE, "local", f"demo{number}")) for number in range(9))
    tasks = [Task(one, partial(fail, error)) for one, error in zip(ids, errors, strict=False)]
    with pytest.raises(PlexError) as raised:
        run_tasks(tasks, {"local": 4})
    return raised.value


def test_one_unreachable_host_is_one_error_for_all_its_tasks() -> None:
    assert failures(UNREACHABLE, UNREACHABLE, UNREACHABLE) is UNREACHABLE


def test_two_unreachable_hosts_are_one_unreachable_error() -> None:
    error = failures(UNREACHABLE, OTHER)
    assert isinstance(error, UnreachableHostError)
    assert error.summary == "2 hosts do not answer"
    assert set(error.details) == {UNREACHABLE.summary, "timed out", OTHER.summary}
    assert error.hint == "is it up?"


def test_a_failure_beside_an_unreachable_host_is_a_plain_error() -> None:
    error = failures(UNREACHABLE, PlexError("no disk"))
    assert not isinstance(error, UnreachableHostError)
    assert error.summary == "2 changes failed"
