"""The order in which the engine `direct` creates and deletes objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation
from plexctl.model.observed import HostState, ObservedImage
from plexctl.plan.resources.types import Acl, Forward
from plexctl.provision.change import DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from plexctl.provision.start_gate import StartGate
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from .test_diff import (
    ISOLATED,
    MASTER,
    NETWORK,
    OWNER,
    STORE,
    WANTED,
    instance,
    isolated,
    store,
    whole,
)


def applied(
    found: dict[str, HostState], options: DiffOptions, *, wanted: Any = WANTED, losing: Any = ()
) -> FakeIncus:
    incus = FakeIncus(state=found["local"])
    incus.instances.losing = list(losing)
    engine = DirectEngine({"local": incus})
    changes = engine.diff(wanted, found, options)
    engine.apply(ApplyJob((), changes, found, "run9", NullReporter()))
    return incus


def with_image(found: HostState) -> dict[str, HostState]:
    image = ObservedImage("abc", ("plex-kube-0123456789ab",), {}, 1)
    state = HostState("local", found.instances, found.networks, found.profiles, (image,))
    return {"local": state}


def test_an_instance_has_its_files_before_it_starts() -> None:
    incus = applied(with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER))

    assert incus.calls_for("demo2") == ["instances.create", "instances.push", "instances.start"]
    assert incus.calls[:2] == [("networks.put", "plex-demo"), ("profiles.put", "plex-demo-kube")]


def test_an_instance_that_cannot_take_its_files_is_created_again() -> None:
    nothing = with_image(HostState("local", {}, {}, {}, ()))
    made = ["instances.create", "instances.push"]
    again = ["instances.delete", *made]

    incus = applied(nothing, DiffOptions(OWNER), losing=["demo2", "demo2"])
    assert incus.calls_for("demo2") == [*made, *again, *again, "instances.start"]
    assert incus.calls_for("demo3") == [*made, "instances.start"]

    with pytest.raises(PlexError, match="cannot write files into demo2"):
        applied(nothing, DiffOptions(OWNER), losing=["demo2"] * 9)


def test_an_instance_has_tags_with_its_owner_and_its_run() -> None:
    incus = applied(with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER))

    assert incus.instances.config["demo3"]["user.plex.lab"] == OWNER.lab
    assert incus.instances.config["demo3"]["user.plex.run"] == "run9"
    assert incus.instances.config["demo3"]["user.plex.parent"] == "run9"
    assert "user.plex.parent" not in incus.instances.config["demo1"]


def test_old_workers_are_deleted_before_a_new_master_is_created() -> None:
    options = DiffOptions(OWNER, replace=frozenset({MASTER}))
    calls = applied(with_image(whole()["local"]), options).calls

    made = calls.index(("instances.create", "demo1"))
    for name in ("demo1", "demo2", "demo3"):
        assert calls.index(("instances.delete", name)) < made


def test_workers_that_wait_for_their_master_do_not_block_deletions() -> None:
    """The host creates one instance at a time, which must not be the waiting worker."""
    found = with_image(whole()["local"])
    incus = FakeIncus(replace(LOCAL, parallel=1), found["local"])
    engine = DirectEngine({"local": incus})
    changes = engine.diff(WANTED, found, DiffOptions(OWNER, replace=frozenset({MASTER})))

    def started() -> Observation:
        return Observation(("instances.start", "demo1") in incus.calls)

    gate = StartGate(frozenset(), Condition("demo1 starts", started, 5, every=0.01))
    engine.apply(ApplyJob((), changes, found, "run9", NullReporter(), gate))
    assert incus.names("instances.start") == ["demo1", "demo2", "demo3"]


def test_a_new_worker_of_an_old_master_has_the_run_of_the_master() -> None:
    options = DiffOptions(OWNER, replace=frozenset({instance(2).key}))
    incus = applied(with_image(whole()["local"]), options)

    assert incus.instances.config["demo2"]["user.plex.parent"] == "run1"
    assert {name for _, name in incus.calls} == {"demo2"}


def test_objects_are_deleted_after_those_that_use_them() -> None:
    calls = applied(whole(), DiffOptions(OWNER), wanted=()).calls

    assert calls[-2:] == [("profiles.delete", "plex-demo-kube"), ("networks.delete", "plex-demo")]
    assert len(calls) == 5


def test_an_acl_exists_as_long_as_a_network_uses_it() -> None:
    """The server refuses a network whose ACL does not exist, and the deletion of an ACL in use."""
    empty = with_image(HostState("local", {}, {}, {}, ()))
    made = applied(empty, DiffOptions(OWNER), wanted=ISOLATED)

    assert made.calls[:2] == [("acls.put", "plex-demo"), ("networks.put", "plex-demo")]
    assert isinstance(ISOLATED[0], Acl)
    assert made.acls.rules["plex-demo"] == (ISOLATED[0].ingress, ISOLATED[0].egress)

    calls = applied(isolated(), DiffOptions(OWNER), wanted=()).calls
    assert calls[-2:] == [("networks.delete", "plex-demo"), ("acls.delete", "plex-demo")]


def test_a_volume_is_created_before_its_instance() -> None:
    incus = applied(
        with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER), wanted=STORE
    )
    calls = incus.calls

    assert calls.index(("volumes.put", "depot")) < calls.index(("instances.create", "depot"))
    assert ("volumes.put", "depot") not in applied(store(), DiffOptions(OWNER), wanted=STORE).calls


def test_a_volume_is_deleted_after_its_instance() -> None:
    calls = applied(store(), DiffOptions(OWNER, volumes=True), wanted=()).calls

    assert calls.index(("instances.delete", "depot")) < calls.index(("volumes.delete", "depot"))
    kept = applied(store(), DiffOptions(OWNER), wanted=()).calls
    assert "volumes.delete" not in {call for call, _ in kept}


def test_a_port_of_the_host_leads_into_a_network_that_says_so_and_no_longer() -> None:
    nothing = with_image(HostState("local", {}, {}, {}, ()))
    forward = Forward("192.0.2.7", 20042, "10.64.3.10", 6443)
    leading = replace(NETWORK, forward=forward)

    plain = applied(nothing, DiffOptions(OWNER), wanted=(NETWORK,))
    assert plain.names("networks.put_forward") == []

    incus = applied(nothing, DiffOptions(OWNER), wanted=(leading,))
    assert incus.networks.forwards == {"plex-demo": forward}

    later = applied({"local": incus.read()}, DiffOptions(OWNER), wanted=(NETWORK,))
    assert later.networks.forwards == {"plex-demo": None}
