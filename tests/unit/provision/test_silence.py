"""A host that does not answer: what is on it is left alone, and the others go on."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.observed import HostState, ObservedImage, unreachable_reasons
from plexctl.plan.resources.types import Resource
from plexctl.provision.diff import diff
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.direct.graph import Task, run_tasks
from plexctl.provision.engine import DiffOptions
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .test_diff import NETWORK, OWNER, PROFILE, WISHES, instance, seen, state

SILENCE = UnreachableHostError("host far: Incus does not answer", details=("timed out",))
FAR_NETWORK = replace(NETWORK, host="far")
FAR_PROFILE = replace(PROFILE, host="far", needs=(FAR_NETWORK.key,))
FAR = replace(instance(2), host="far", needs=("profile/far/plex-demo-kube",))
WANTED: tuple[Resource, ...] = (
    NETWORK,
    PROFILE,
    instance(1),
    FAR_NETWORK,
    FAR_PROFILE,
    FAR,
    instance(3),
)


def half_silent(*there: int) -> dict[str, HostState]:
    """Host local has these nodes; far does not answer."""
    local = state(*(seen(instance(number)) for number in there))
    return {**local, "far": HostState.of_unreachable("far", SILENCE)}


def told(found: dict[str, HostState], options: DiffOptions = WISHES) -> list[tuple[str, str]]:
    return [(change.action.value, change.name) for change in diff(WANTED, found, options)]


def test_nothing_is_said_of_a_silent_host() -> None:
    assert told(half_silent(1, 3)) == []
    assert told(half_silent(1)) == [("create", "demo3")]
    options = DiffOptions(OWNER, replace=frozenset({FAR.key, instance(3).key}))
    assert told(half_silent(1, 3), options) == [("replace", "demo3")]
    assert [c.host for c in diff((), half_silent(1), WISHES)] == ["local"] * 3


def test_workers_of_a_silent_master_stay_as_they_are() -> None:
    master = replace(instance(1), host="far")
    worker = replace(instance(3), parent=master.key)
    found = {**state(seen(worker)), "far": HostState.of_unreachable("far", SILENCE)}

    assert diff((NETWORK, PROFILE, master, worker), found, WISHES) == ()


def test_what_states_say_of_silence() -> None:
    assert unreachable_reasons(half_silent(1).values()) == (
        "host far: Incus does not answer: timed out",
    )
    assert unreachable_reasons(state().values()) == ()


def falling(name: str, at: str = "") -> FakeIncus:
    """A host that stops answering at the call `at`."""
    image = ObservedImage("abc", ("plex-kube-0123456789ab",), {}, 1)
    incus = FakeIncus(replace(LOCAL, name=name), HostState(name, {}, {}, {}, (image,)))

    def before(call: str, _: str) -> None:
        if call == at:
            incus.down = SILENCE

    incus.before = before
    return incus


@pytest.mark.parametrize(
    "at", ["networks.put", "instances.create", "instances.push", "instances.start"]
)
def test_the_others_go_on_when_one_falls_silent(at: str) -> None:
    local, far = falling("local"), falling("far", at)
    engine = DirectEngine({"local": local, "far": far})
    states = engine.read(("local", "far"))
    changes = engine.diff(WANTED, states, WISHES)

    with pytest.raises(UnreachableHostError) as error:
        engine.apply(WANTED, changes, states, "run9", NullReporter(), lambda _: None)

    assert error.value is SILENCE
    assert set(local.names("instances.start")) == {"demo1", "demo3"}
    assert at not in {call for call, _ in far.calls}


def test_reading_goes_on_without_a_silent_host() -> None:
    local, far = falling("local"), falling("far")
    far.down = SILENCE
    engine = DirectEngine({"local": local, "far": far})

    states = engine.read(("local", "far", "local"))

    assert states["local"].unreachable is None
    assert states["far"] == HostState.of_unreachable("far", SILENCE)
    with pytest.raises(UnreachableHostError) as error:  # where there is no other
        engine.read(("far",))
    assert error.value is SILENCE


def test_hosts_are_read_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=5)

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
    tasks = [Task(str(number), partial(fail, one)) for number, one in enumerate(errors)]
    with pytest.raises(PlexError) as raised:
        run_tasks(tasks, {"": 4})
    return raised.value


def test_one_silence_is_told_once_however_much_it_stopped() -> None:
    assert failures(SILENCE, SILENCE, SILENCE) is SILENCE


def test_two_silences_are_a_silence() -> None:
    told = failures(SILENCE, OTHER)
    assert isinstance(told, UnreachableHostError)
    assert told.summary == "2 hosts do not answer"
    assert set(told.details) == {SILENCE.summary, "timed out", OTHER.summary}
    assert told.hint == "is it up?"


def test_a_failure_beside_a_silence_is_a_failure() -> None:
    told = failures(SILENCE, PlexError("no disk"))
    assert not isinstance(told, UnreachableHostError)
    assert told.summary == "2 things failed"
