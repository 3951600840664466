"""Changes of a plex with several masters: when its cluster stays, and when another one begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plexctl.model.observed import HostState, ObservedInstance
from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.tags import tags as own_tags

from .test_diff import NETWORK, OPTIONS, OWNER, PROFILE, instance, observed, state
from .test_direct import applied, with_image

EMPTY = with_image(HostState("local", {}, {}, {}, ()))


def master(number: int, *, masters: int = 3, boot: bytes = b"files") -> Instance:
    return replace(instance(number, boot=boot), parent=None, masters=masters)


def plan(masters: int = 3, size: int = 5) -> tuple[Resource, ...]:
    own = (master(number, masters=masters) for number in range(1, masters + 1))
    workers = (instance(number) for number in range(masters + 1, size + 1))
    return (NETWORK, PROFILE, *own, *workers)


def exists(one: Instance, *, run: str = "run1", **changes: Any) -> ObservedInstance:
    """An instance of the cluster that began in run1."""
    found = observed(one)
    born = {"born": "run1"} if one.masters > 1 else {}
    return replace(found, tags={**found.tags, **born, "run": run}, **changes)


def running(masters: int = 3, size: int = 5) -> list[ObservedInstance]:
    return [exists(one) for one in plan(masters, size) if isinstance(one, Instance)]


def changed(changes: tuple[Change, ...]) -> dict[str, tuple[Action, bool]]:
    return {one.name: (one.action, one.joins) for one in changes}


def key(name: str) -> Key:
    return Key(Kind.INSTANCE, "local", name)


def test_a_new_cluster_begins_with_all_its_masters() -> None:
    changes = diff(plan(), EMPTY, OPTIONS)

    assert {name: how for name, how in changed(changes).items() if name.startswith("demo")} == {
        f"demo{number}": (Action.CREATE, False) for number in range(1, 6)
    }


def test_masters_and_workers_know_the_run_in_which_their_cluster_began() -> None:
    for one in (master(2), instance(4)):
        change = Change(Action.REPLACE, one.key, "requested", one, "run1")
        began = own_tags(one, "run9", change)
        assert began["run"] == "run9"
        assert began["parent" if one.parent else "born"] == "run1"
    assert own_tags(master(1), "run9")["born"] == "run9"
    assert "born" not in own_tags(master(1, masters=1), "run9")
    # The only master of a cluster that had several keeps the workers.
    alone = Change(Action.REPLACE, key("demo1"), "changed", master(1, masters=1), "run1", True)
    assert own_tags(master(1, masters=1), "run9", alone)["born"] == "run1"


def test_a_cluster_that_runs_has_no_changes_though_a_master_was_replaced() -> None:
    found = running()
    found[0] = exists(master(1), run="run7")

    assert diff(plan(), state(*found), OPTIONS) == ()


def test_one_of_several_masters_is_replaced_alone_even_the_first() -> None:
    for name in ("demo1", "demo3"):
        options = DiffOptions(OWNER, replace=frozenset({key(name)}))
        assert changed(diff(plan(), state(*running()), options)) == {name: (Action.REPLACE, True)}


def test_a_master_that_is_gone_joins_again() -> None:
    changes = diff(plan(), state(*running()[1:]), OPTIONS)

    assert changed(changes) == {"demo1": (Action.CREATE, True)}
    assert changes[0].parent_run == "run1"


def test_a_new_cluster_begins_if_all_masters_are_replaced() -> None:
    options = DiffOptions(OWNER, replace=frozenset(key(f"demo{n}") for n in (1, 2, 3)))

    changes = changed(diff(plan(), state(*running()), options))

    assert changes == {f"demo{number}": (Action.REPLACE, False) for number in range(1, 6)}


def test_other_files_replace_one_master_after_another() -> None:
    found = [exists(replace(one, boot=b"old")) for one in plan()[2:5] if isinstance(one, Instance)]

    changes = changed(diff(plan(), state(*found, *running()[3:]), OPTIONS))

    assert changes == {f"demo{number}": (Action.REPLACE, True) for number in (1, 2, 3)}


def test_a_stopped_master_is_started() -> None:
    found = running()
    found[2] = exists(master(3), status="Stopped")

    assert changed(diff(plan(), state(*found), OPTIONS)) == {"demo3": (Action.START, False)}


def test_workers_become_masters_that_join_the_first_one() -> None:
    changes = changed(diff(plan(3, 5), state(*running(1, 3)), OPTIONS))

    # The hash of demo1 stays, as nothing but `masters` differs here.
    assert changes == {
        "demo2": (Action.REPLACE, True),
        "demo3": (Action.REPLACE, True),
        "demo4": (Action.CREATE, False),
        "demo5": (Action.CREATE, False),
    }


def test_the_first_master_joins_others_when_it_becomes_the_only_one() -> None:
    wanted = (NETWORK, PROFILE, master(1, masters=1, boot=b"alone"), instance(2), instance(3))

    changes = diff(wanted, state(*running()), OPTIONS)

    assert changed(changes) == {
        "demo1": (Action.REPLACE, True),
        "demo2": (Action.REPLACE, False),
        "demo3": (Action.REPLACE, False),
        "demo4": (Action.DELETE, False),
        "demo5": (Action.DELETE, False),
    }
    assert {one.parent_run for one in changes if one.name == "demo2"} == {"run1"}


def test_workers_stay_with_the_only_master_of_a_cluster_that_had_several() -> None:
    alone = exists(master(1, masters=1), run="run7")
    alone = replace(alone, tags={**alone.tags, "born": "run1"})

    assert diff(plan(1, 3), state(alone, *running(1, 3)[1:]), OPTIONS) == ()


def test_a_birth_that_was_interrupted_before_a_start_begins_again() -> None:
    changes = changed(diff(plan(), state(exists(master(1), started=False)), OPTIONS))

    assert changes["demo1"] == (Action.REPLACE, False)
    assert changes["demo2"] == (Action.CREATE, False)


def test_a_birth_that_was_interrupted_between_two_starts_goes_on() -> None:
    found = [exists(master(1)), exists(master(2), started=False, status="Stopped")]

    changes = changed(diff(plan(3, 3), state(*found, exists(master(3), started=False)), OPTIONS))

    assert changes == {"demo2": (Action.START, False), "demo3": (Action.START, False)}


def test_a_join_that_was_interrupted_is_made_again() -> None:
    found = running()
    found[1] = exists(master(2), run="run7", started=False, status="Stopped")

    assert changed(diff(plan(), state(*found), OPTIONS)) == {"demo2": (Action.REPLACE, True)}


def test_no_master_of_a_new_cluster_starts_before_all_are_created() -> None:
    calls = applied(EMPTY, OPTIONS, wanted=plan()).calls

    pushed = max(calls.index(("instances.push", f"demo{number}")) for number in (1, 2, 3))
    assert pushed < min(calls.index(("instances.start", f"demo{n}")) for n in (1, 2, 3))
