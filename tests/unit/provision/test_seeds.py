"""A VM's seed volume is written right before the VM, and deleted with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plexctl.errors import PlexError
from plexctl.model.observed import HostState, ObservedNetwork, ObservedVolume
from plexctl.model.resources import Kind
from plexctl.model.types import Form
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, DiffOptions
from plexctl.provision.diff import diff

from .test_diff import NETWORK, OWNER, PROFILE, instance, observed, tags
from .test_direct import applied, with_image


def vm(number: int) -> Instance:
    seed = (("pool", "default"), ("source", f"demo{number}-seed"), ("type", "disk"))
    spec = IncusSpec("plex-demo-kube", (), (("seed", seed),))
    return replace(instance(number), form=Form.VM, spec=spec)


WANTED: tuple[Resource, ...] = (NETWORK, PROFILE, vm(1), vm(2))


def seed(number: int) -> ObservedVolume:
    owner = {"lab": OWNER.lab, "plex": OWNER.plex, "run": "run1"}
    return ObservedVolume(f"demo{number}-seed", {**owner, "seed": f"demo{number}"}, disc=True)


def host(*volumes: ObservedVolume, nodes: tuple[Instance, ...] = (vm(1), vm(2))) -> HostState:
    bare = HostState("local", {}, {}, {}, ())
    found = {one.name: observed(one) for one in nodes}
    network = {NETWORK.name: ObservedNetwork(NETWORK.name, tags(NETWORK))}
    return replace(
        bare,
        instances=found,
        networks=network,
        volumes={volume.name: volume for volume in volumes},
    )


def deleted(state: HostState, *, wanted: tuple[Resource, ...] = WANTED) -> set[str]:
    changes = diff(wanted, {"local": state}, DiffOptions(OWNER))
    return {c.name for c in changes if c.kind is Kind.VOLUME and c.action is Action.DELETE}


def test_a_seed_is_written_before_its_vm_and_no_file_is_pushed() -> None:
    incus = applied(
        with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER), wanted=WANTED
    )

    order = [call for call, name in incus.calls if name.startswith("demo2")]
    assert order == ["volumes.create_disc", "instances.create", "instances.start"]


def test_a_replaced_vm_has_a_new_seed() -> None:
    state = with_image(host(seed(1), seed(2)))
    state["local"] = replace(state["local"], volumes={v.name: v for v in (seed(1), seed(2))})
    options = DiffOptions(OWNER, replace=frozenset({vm(2).key}))

    incus = applied(state, options, wanted=WANTED)

    order = [call for call, name in incus.calls if name.startswith("demo2")]
    assert order == [
        "instances.delete",
        "volumes.delete",
        "volumes.create_disc",
        "instances.create",
        "instances.start",
    ]
    assert ("volumes.delete", "demo1-seed") not in incus.calls


def test_seeds_of_wanted_vms_stay() -> None:
    assert deleted(host(seed(1), seed(2))) == set()


def test_a_seed_is_deleted_with_its_vm_even_if_volumes_are_kept() -> None:
    assert deleted(host(seed(1), seed(2)), wanted=WANTED[:-1]) == {"demo2-seed"}
    assert deleted(host(seed(1), seed(2)), wanted=()) == {"demo1-seed", "demo2-seed"}


def test_a_seed_is_deleted_after_its_vm() -> None:
    state = with_image(host(seed(1), seed(2)))
    state["local"] = replace(state["local"], volumes={v.name: v for v in (seed(1), seed(2))})

    calls = applied(state, DiffOptions(OWNER), wanted=()).calls

    assert calls.index(("instances.delete", "demo2")) < calls.index(
        ("volumes.delete", "demo2-seed")
    )


def test_the_seed_of_a_vm_that_becomes_a_container_is_deleted() -> None:
    assert deleted(host(seed(1), seed(2)), wanted=(NETWORK, PROFILE, vm(1), instance(2))) == {
        "demo2-seed"
    }


def test_a_seed_that_a_crash_left_without_tags_is_found() -> None:
    left = ObservedVolume("demo3-seed", {}, disc=True)
    of_a_user = (
        ObservedVolume("demo4-seed", {}),
        ObservedVolume("demonstration-seed", {}, disc=True),
    )

    assert deleted(host(seed(1), seed(2), left, *of_a_user)) == {"demo3-seed"}


def test_a_volume_of_another_owner_is_not_overwritten() -> None:
    theirs = replace(seed(2), tags={**seed(2).tags, "plex": "other"})

    with pytest.raises(PlexError) as error:
        diff(WANTED, {"local": host(seed(1), theirs)}, DiffOptions(OWNER))

    assert error.value.details == ("volume demo2-seed on host local is not a seed of this plex",)
