"""The changes from what a host has to what a plan wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plexctl.errors import PlexError
from plexctl.model.observed import (
    HostState,
    ObservedAcl,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.resources import Key, Kind
from plexctl.model.types import Form
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import (
    ACLS,
    Acl,
    Instance,
    Network,
    Owner,
    Profile,
    Resource,
    Volume,
    resource_hash,
)
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.diff import diff

OWNER = Owner("1a2b3c4d", "demo")
MASTER = Key(Kind.INSTANCE, "local", "demo1")
OPTIONS = DiffOptions(OWNER)


def instance(number: int, *, boot: bytes = b"files") -> Instance:
    return Instance(
        name=f"demo{number}",
        host="local",
        owner=OWNER,
        form=Form.CONTAINER,
        image="plex-kube-0123456789ab",
        spec=IncusSpec("plex-demo-kube", (), ()),
        boot=boot,
        needs=(Key(Kind.PROFILE, "local", "plex-demo-kube"),),
        parent=None if number == 1 else MASTER,
    )


NETWORK = Network("plex-demo", "local", OWNER, (("ipv4.address", "10.64.3.1/24"),))
PROFILE = Profile("plex-demo-kube", "local", OWNER, (), (), needs=(NETWORK.key,))
WANTED: tuple[Resource, ...] = (NETWORK, PROFILE, instance(1), instance(2), instance(3))


def tags(resource: Resource, **more: str) -> dict[str, str]:
    owner = {"lab": resource.owner.lab, "plex": resource.owner.plex}
    return {**owner, "hash": resource_hash(resource), "run": "run1", **more}


def observed(resource: Instance, **changes: Any) -> ObservedInstance:
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
    return state(*(observed(instance(number)) for number in (1, 2, 3)))


def actions(changes: tuple[Change, ...]) -> dict[str, Action]:
    return {change.name: change.action for change in changes}


def test_a_host_that_has_the_plan_has_no_changes() -> None:
    assert diff(WANTED, whole(), OPTIONS) == ()


def test_everything_is_created_on_an_empty_host_in_the_order_of_the_plan() -> None:
    changes = diff(WANTED, {"local": HostState("local", {}, {}, {}, ())}, OPTIONS)

    assert [change.key for change in changes] == [resource.key for resource in WANTED]
    assert {change.action for change in changes} == {Action.CREATE}


def test_a_changed_profile_is_updated_in_place_without_its_nodes() -> None:
    wanted = (NETWORK, replace(PROFILE, config=(("limits.cpu", "2"),)), *WANTED[2:])

    assert actions(diff(wanted, whole(), OPTIONS)) == {PROFILE.name: Action.UPDATE}


def test_a_changed_file_replaces_only_its_worker() -> None:
    wanted = (*WANTED[:3], instance(2, boot=b"other files"), instance(3))

    assert actions(diff(wanted, whole(), OPTIONS)) == {"demo2": Action.REPLACE}


def test_replacing_the_master_replaces_its_workers() -> None:
    changes = diff(WANTED, whole(), replace(OPTIONS, replace=frozenset({MASTER})))

    assert actions(changes) == dict.fromkeys(("demo1", "demo2", "demo3"), Action.REPLACE)
    assert {c.reason for c in changes} == {"requested", "master is replaced"}


def test_workers_of_an_earlier_master_are_replaced() -> None:
    """A run was killed between the new master and its workers."""
    new = {**tags(instance(1)), "run": "run2"}
    found = state(observed(instance(1), tags=new), observed(instance(2)), observed(instance(3)))

    changes = diff(WANTED, found, OPTIONS)

    assert actions(changes) == {"demo2": Action.REPLACE, "demo3": Action.REPLACE}
    assert {change.parent_run for change in changes} == {"run2"}


def test_a_missing_master_is_created_and_its_workers_are_replaced() -> None:
    found = state(observed(instance(2)), observed(instance(3)))

    assert actions(diff(WANTED, found, OPTIONS)) == {
        "demo1": Action.CREATE,
        "demo2": Action.REPLACE,
        "demo3": Action.REPLACE,
    }


def test_an_instance_that_never_started_is_replaced() -> None:
    half = observed(instance(2), started=False, status="Stopped")
    changes = diff(WANTED, state(observed(instance(1)), half, observed(instance(3))), OPTIONS)

    assert actions(changes) == {"demo2": Action.REPLACE}
    assert changes[0].reason == "creation was interrupted"


def test_a_stopped_master_is_started_and_its_workers_stay() -> None:
    stopped = observed(instance(1), status="Stopped")
    found = state(stopped, observed(instance(2)), observed(instance(3)))

    assert actions(diff(WANTED, found, OPTIONS)) == {"demo1": Action.START}


def test_a_node_that_the_plan_does_not_have_is_deleted() -> None:
    assert actions(diff(WANTED[:4], whole(), OPTIONS)) == {"demo3": Action.DELETE}


def test_deletions_are_listed_in_the_order_of_the_numbers() -> None:
    found = state(*(observed(instance(number)) for number in (1, 10, 2)))

    assert [change.name for change in diff(WANTED[:3], found, OPTIONS)] == ["demo2", "demo10"]


def test_without_resources_only_the_objects_of_the_plex_are_deleted() -> None:
    found = whole()
    found["local"].instances["other1"] = observed(instance(1), name="other1", tags={})  # type: ignore[index]

    assert set(actions(diff((), found, OPTIONS))) == {r.name for r in WANTED}


@pytest.mark.parametrize(
    ("found", "whose"),
    [({}, "was not created by plexctl"), ({"lab": "ffff", "plex": "demo"}, "of lab ffff")],
)
def test_an_instance_of_another_owner_is_an_error(found: dict[str, str], whose: str) -> None:
    foreign = observed(instance(2), tags=found)

    with pytest.raises(PlexError) as error:
        diff(WANTED, state(observed(instance(1)), foreign, observed(instance(3))), OPTIONS)

    assert "instance demo2 on host local" in error.value.details[0]
    assert whose in error.value.details[0]


VOLUME = Volume("depot", "local", OWNER, "default")
KEEPER = replace(instance(1), name="depot", needs=(PROFILE.key, VOLUME.key))
STORE: tuple[Resource, ...] = (NETWORK, PROFILE, VOLUME, KEEPER)


def store(**volume: str) -> dict[str, HostState]:
    """A host with an instance that has a disk of its own; `volume` are the disk's other tags."""
    disk = ObservedVolume(VOLUME.name, {**tags(VOLUME), **volume})
    return {"local": replace(state(observed(KEEPER))["local"], volumes={disk.name: disk})}


def test_a_volume_is_created_with_its_instance_once() -> None:
    changes = diff(STORE, state(), OPTIONS)

    assert [c.key for c in changes] == [VOLUME.key, KEEPER.key]
    assert diff(STORE, store(), OPTIONS) == ()


def test_a_volume_stays_when_its_instance_is_replaced() -> None:
    changes = diff(STORE, store(), replace(OPTIONS, replace=frozenset({KEEPER.key})))

    assert [(c.action, c.key) for c in changes] == [(Action.REPLACE, KEEPER.key)]


def test_a_volume_with_other_settings_is_updated_in_place() -> None:
    (change,) = diff(STORE, store(hash="another"), OPTIONS)

    assert (change.action, change.key) == (Action.UPDATE, VOLUME.key)


def test_an_unwanted_volume_is_deleted_only_on_request() -> None:
    kept = diff((), store(), OPTIONS)
    gone = diff((), store(), replace(OPTIONS, volumes=True))

    assert Kind.VOLUME not in {change.kind for change in kept}
    assert {change.key for change in gone} == {resource.key for resource in STORE}


def test_a_volume_of_another_owner_is_an_error() -> None:
    with pytest.raises(PlexError) as error:
        diff(STORE, store(lab="ffff"), OPTIONS)

    assert "volume depot on host local belongs to plex demo of lab ffff" in error.value.details


RULE = (("action", "allow"), ("source", "10.64.3.0/24"), ("state", "enabled"))
ACL = Acl("plex-demo", "local", OWNER, (RULE,), (RULE,))
ISOLATED: tuple[Resource, ...] = (
    ACL,
    replace(NETWORK, config=((ACLS, ACL.name), *NETWORK.config)),
    *WANTED[1:],
)


def isolated(**acl: str) -> dict[str, HostState]:
    """A host with the isolated plex; `acl` are other tags of its ACL."""
    return {
        "local": replace(
            whole()["local"],
            networks={NETWORK.name: ObservedNetwork(NETWORK.name, tags(ISOLATED[1]))},
            acls={ACL.name: ObservedAcl(ACL.name, {**tags(ACL), **acl})},
        )
    }


def test_a_plex_that_runs_is_isolated_in_place() -> None:
    """A plex of a version without isolation keeps its nodes."""
    changes = diff(ISOLATED, whole(), OPTIONS)

    assert [(c.action, str(c.key)) for c in changes] == [
        (Action.CREATE, "acl/local/plex-demo"),
        (Action.UPDATE, "network/local/plex-demo"),
    ]
    assert ISOLATED[1].needs == (ACL.key,)
    assert diff(ISOLATED, isolated(), OPTIONS) == ()


def test_other_rules_change_only_the_acl() -> None:
    wanted = (replace(ACL, ingress=(RULE, RULE)), *ISOLATED[1:])

    assert [(c.action, c.key) for c in diff(wanted, isolated(), OPTIONS)] == [
        (Action.UPDATE, ACL.key)
    ]


def test_an_acl_of_another_owner_is_an_error() -> None:
    with pytest.raises(PlexError) as error:
        diff(ISOLATED, isolated(lab="ffff"), OPTIONS)

    assert error.value.details == ("acl plex-demo on host local belongs to plex demo of lab ffff",)


LAB = "1a2b3c4d" + "0" * 24


def having(network: Network) -> dict[str, HostState]:
    found = ObservedNetwork(network.name, tags(network))
    return {"local": HostState("local", {}, {network.name: found}, {}, ())}


def test_another_lab_whose_identifier_begins_the_same_owns_nothing() -> None:
    """32 bits are found in minutes: such a lab took the plex for its own and replaced it."""
    theirs = Owner("1a2b3c4d" + "f" * 24, "demo")
    network = replace(NETWORK, owner=Owner(LAB, "demo"))
    there = having(replace(NETWORK, owner=theirs))
    with pytest.raises(PlexError) as refused:
        diff((network,), there, DiffOptions(network.owner))
    assert f"belongs to plex demo of lab {theirs.lab}" in refused.value.details[0]
    assert diff((), there, DiffOptions(network.owner)) == ()


def test_a_tag_of_32_bits_of_an_older_version_is_the_lab_s_own() -> None:
    network = replace(NETWORK, owner=Owner(LAB, "demo"))
    there = having(NETWORK)
    assert diff((network,), there, DiffOptions(network.owner)) == ()
    assert [c.action for c in diff((), there, DiffOptions(network.owner))] == [Action.DELETE]


def confined(states: dict[str, HostState]) -> dict[str, HostState]:
    return {name: replace(state, confined=True) for name, state in states.items()}


def test_a_confined_lab_changes_no_network_and_says_who_can() -> None:
    """A restricted certificate can create a network of the project default, and never delete it."""
    assert diff(WANTED, confined(whole()), OPTIONS) == ()

    changed = replace(NETWORK, config=(("ipv4.address", "10.64.4.1/24"),))
    empty = {"local": HostState("local", {}, {}, {}, ())}
    for wanted, there, how in (
        ((changed, *WANTED[1:]), whole(), "differs from the files"),
        (WANTED, empty, "is missing"),
    ):
        with pytest.raises(PlexError, match="only an administrator of the host") as refused:
            diff(wanted, confined(there), OPTIONS)
        assert refused.value.details == (f"network plex-demo on host local {how}",)
        assert "`plexctl host trust local --print`" in str(refused.value.hint)


def test_a_confined_lab_names_an_exception_that_an_administrator_has_to_apply() -> None:
    wanted = (replace(ACL, ingress=(RULE, RULE)), *ISOLATED[1:])
    assert diff(ISOLATED, confined(isolated()), OPTIONS) == ()
    with pytest.raises(PlexError, match="only an administrator") as error:
        diff(wanted, confined(isolated()), OPTIONS)
    assert error.value.details == ("acl plex-demo on host local differs from the files",)
    assert Kind.ACL not in {c.kind for c in diff((), confined(isolated()), OPTIONS)}


def test_the_networks_of_a_confined_lab_stay_when_its_plex_is_destroyed() -> None:
    deleted = {change.name for change in diff((), confined(whole()), OPTIONS)}
    assert deleted == {"plex-demo-kube", "demo1", "demo2", "demo3"}
