"""From what a host has to what has to be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plexctl.errors import PlexError
from plexctl.model.observed import (
    HostState,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.types import Form
from plexctl.plan.resources.types import (
    Instance,
    Network,
    Owner,
    Profile,
    Resource,
    Volume,
    resource_hash,
)
from plexctl.provision.diff import diff
from plexctl.provision.engine import Action, Change, DiffOptions

OWNER = Owner("1a2b3c4d", "demo")
MASTER = "instance/local/demo1"
WISHES = DiffOptions(OWNER)


def instance(number: int, *, boot: bytes = b"files") -> Instance:
    return Instance(
        name=f"demo{number}",
        host="local",
        owner=OWNER,
        form=Form.CONTAINER,
        image="plex-kube-0123456789ab",
        profile="plex-demo-kube",
        config=(),
        devices=(),
        boot=boot,
        needs=("profile/local/plex-demo-kube",),
        parent=None if number == 1 else MASTER,
    )


NETWORK = Network("plex-demo", "local", OWNER, (("ipv4.address", "10.64.3.1/24"),))
PROFILE = Profile("plex-demo-kube", "local", OWNER, (), (), needs=(NETWORK.key,))
WANTED: tuple[Resource, ...] = (NETWORK, PROFILE, instance(1), instance(2), instance(3))


def tags(resource: Resource, **more: str) -> dict[str, str]:
    owner = {"lab": resource.owner.lab, "plex": resource.owner.plex}
    return {**owner, "hash": resource_hash(resource), "run": "run1", **more}


def seen(resource: Instance, **changes: Any) -> ObservedInstance:
    parent = {"parent": "run1"} if resource.parent else {}
    as_made = ObservedInstance(resource.name, "Running", tags(resource, **parent), True, "f", "u")
    return replace(as_made, **changes)


def state(*instances: ObservedInstance) -> dict[str, HostState]:
    """A host as an undisturbed run leaves it, with these instances."""
    return {
        "local": HostState(
            "local",
            {one.name: one for one in instances},
            {NETWORK.name: ObservedNetwork(NETWORK.name, tags(NETWORK))},
            {PROFILE.name: ObservedProfile(PROFILE.name, tags(PROFILE))},
            (),
        )
    }


def whole() -> dict[str, HostState]:
    return state(*(seen(instance(number)) for number in (1, 2, 3)))


def actions(changes: tuple[Change, ...]) -> dict[str, Action]:
    return {change.name: change.action for change in changes}


def test_what_is_as_wanted_changes_nothing() -> None:
    assert diff(WANTED, whole(), WISHES) == ()


def test_an_empty_host_gets_everything_in_the_order_of_the_plan() -> None:
    changes = diff(WANTED, {"local": HostState("local", {}, {}, {}, ())}, WISHES)

    assert [change.key for change in changes] == [resource.key for resource in WANTED]
    assert {change.action for change in changes} == {Action.CREATE}


def test_a_changed_profile_is_updated_in_place_and_no_node_is_touched() -> None:
    wanted = (NETWORK, replace(PROFILE, config=(("limits.cpu", "2"),)), *WANTED[2:])

    assert actions(diff(wanted, whole(), WISHES)) == {PROFILE.name: Action.UPDATE}


def test_a_changed_file_replaces_that_worker_only() -> None:
    wanted = (*WANTED[:3], instance(2, boot=b"other files"), instance(3))

    assert actions(diff(wanted, whole(), WISHES)) == {"demo2": Action.REPLACE}


def test_replacing_the_master_replaces_its_workers() -> None:
    changes = diff(WANTED, whole(), replace(WISHES, replace=frozenset({MASTER})))

    assert actions(changes) == dict.fromkeys(("demo1", "demo2", "demo3"), Action.REPLACE)
    assert {c.reason for c in changes} == {"asked for", "its master is made anew"}


def test_workers_of_an_earlier_master_are_replaced() -> None:
    """A run was killed between the new master and its workers."""
    new = {**tags(instance(1)), "run": "run2"}
    found = state(seen(instance(1), tags=new), seen(instance(2)), seen(instance(3)))

    changes = diff(WANTED, found, WISHES)

    assert actions(changes) == {"demo2": Action.REPLACE, "demo3": Action.REPLACE}
    assert {change.parent_run for change in changes} == {"run2"}


def test_a_lost_master_is_made_again_with_all_its_workers() -> None:
    found = state(seen(instance(2)), seen(instance(3)))

    assert actions(diff(WANTED, found, WISHES)) == {
        "demo1": Action.CREATE,
        "demo2": Action.REPLACE,
        "demo3": Action.REPLACE,
    }


def test_an_instance_that_was_never_started_is_half_made() -> None:
    half = seen(instance(2), started=False, status="Stopped")
    changes = diff(WANTED, state(seen(instance(1)), half, seen(instance(3))), WISHES)

    assert actions(changes) == {"demo2": Action.REPLACE}
    assert changes[0].reason == "was left half made"


def test_a_stopped_node_is_started_and_its_workers_stay() -> None:
    stopped = seen(instance(1), status="Stopped")
    found = state(stopped, seen(instance(2)), seen(instance(3)))

    assert actions(diff(WANTED, found, WISHES)) == {"demo1": Action.START}


def test_what_is_wanted_no_more_goes() -> None:
    assert actions(diff(WANTED[:4], whole(), WISHES)) == {"demo3": Action.DELETE}


def test_what_goes_is_told_in_the_order_of_its_numbers() -> None:
    found = state(*(seen(instance(number)) for number in (1, 10, 2)))

    assert [change.name for change in diff(WANTED[:3], found, WISHES)] == ["demo2", "demo10"]


def test_without_any_wish_all_of_the_plex_goes_and_nothing_else() -> None:
    found = whole()
    found["local"].instances["other1"] = seen(instance(1), name="other1", tags={})  # type: ignore[index]

    assert set(actions(diff((), found, WISHES))) == {r.name for r in WANTED}


@pytest.mark.parametrize(
    ("found", "whose"),
    [({}, "nothing that plexctl made"), ({"lab": "ffff", "plex": "demo"}, "of lab ffff")],
)
def test_what_belongs_to_somebody_else_is_not_touched(found: dict[str, str], whose: str) -> None:
    foreign = seen(instance(2), tags=found)

    with pytest.raises(PlexError) as error:
        diff(WANTED, state(seen(instance(1)), foreign, seen(instance(3))), WISHES)

    assert "instance demo2 on host local" in error.value.details[0]
    assert whose in error.value.details[0]


VOLUME = Volume("depot", "local", OWNER, "default")
KEEPER = replace(instance(1), name="depot", needs=(PROFILE.key, VOLUME.key))
STORE: tuple[Resource, ...] = (NETWORK, PROFILE, VOLUME, KEEPER)


def store(**volume: str) -> dict[str, HostState]:
    """A host with an instance that has a disk of its own; `volume` are the disk's other tags."""
    disk = ObservedVolume(VOLUME.name, {**tags(VOLUME), **volume})
    return {"local": replace(state(seen(KEEPER))["local"], volumes={disk.name: disk})}


def test_a_disk_is_made_with_its_instance_and_stays_as_it_is() -> None:
    changes = diff(STORE, state(), WISHES)

    assert [c.key for c in changes] == [VOLUME.key, KEEPER.key]
    assert diff(STORE, store(), WISHES) == ()


def test_a_disk_stays_when_its_instance_is_made_anew() -> None:
    changes = diff(STORE, store(), replace(WISHES, replace=frozenset({KEEPER.key})))

    assert [(c.action, c.key) for c in changes] == [(Action.REPLACE, KEEPER.key)]


def test_a_disk_with_other_settings_is_changed_in_place() -> None:
    (change,) = diff(STORE, store(hash="another"), WISHES)

    assert (change.action, change.key) == (Action.UPDATE, VOLUME.key)


def test_a_disk_that_nobody_wants_goes_only_where_that_is_asked_for() -> None:
    kept = diff((), store(), WISHES)
    gone = diff((), store(), replace(WISHES, volumes=True))

    assert "volume" not in {change.kind for change in kept}
    assert {change.key for change in gone} == {resource.key for resource in STORE}


def test_a_disk_of_somebody_else_is_not_touched() -> None:
    with pytest.raises(PlexError) as error:
        diff(STORE, store(lab="ffff"), WISHES)

    assert "volume depot on host local belongs to plex demo of lab ffff" in error.value.details
