"""A bake that runs is never taken for one that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from plexctl.bake.baker import BAKER, LONGEST, Baker, has_ended, left_behind, this_process
from plexctl.model.observed import ObservedInstance, ObservedNetwork, ObservedVolume
from tests.fake_incus import FakeIncus

from .conftest import Ensure
from .host import LAB, kube

OTHER = "0" * 32
HERE = this_process()


def of_parent() -> Baker:
    """Another process that runs: the one that has started the tests."""
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    return replace(HERE, pid=os.getppid(), start=stat.rpartition(")")[2].split()[19])


def of_ended() -> Baker:
    """A process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return replace(HERE, pid=done.pid)


def test_a_tag_names_the_process_again() -> None:
    assert Baker.parse(str(HERE)) == HERE
    assert HERE.start
    assert HERE.boot
    for wrong in ("", "x", "a/b/c/d/e/f", str(HERE) + "/1"):
        assert Baker.parse(wrong) is None


def test_a_process_that_runs_has_not_ended() -> None:
    assert not has_ended(HERE, HERE)
    assert not has_ended(of_parent(), HERE)


def test_a_process_that_is_gone_or_whose_number_another_has_has_ended() -> None:
    assert has_ended(of_ended(), HERE)
    assert has_ended(replace(of_parent(), start="1"), HERE)
    assert has_ended(replace(of_parent(), boot="before"), HERE)


def test_a_process_that_cannot_be_seen_from_here_has_ended_only_after_a_day() -> None:
    """On another machine, or in a container whose processes have other numbers."""
    for elsewhere in (
        replace(of_ended(), machine="another"),
        replace(of_ended(), machine="another", boot="another"),
        replace(of_ended(), namespace="4026532000"),
    ):
        assert not has_ended(elsewhere, HERE)
        assert has_ended(replace(elsewhere, began=HERE.began - LONGEST - 1), HERE)


def test_without_a_tag_only_our_own_objects_are_left_behind() -> None:
    """Older versions wrote none. The caller holds the lock of bakes."""
    assert left_behind({}, ours=True)
    assert not left_behind({}, ours=False)
    assert not left_behind({BAKER: str(of_parent())}, ours=True)
    assert left_behind({BAKER: str(HERE)}, ours=True)


def test_a_bake_deletes_what_a_killed_one_of_another_lab_left_and_nothing_of_one_that_runs(
    incus: FakeIncus, make: Ensure
) -> None:
    def tags(baker: Baker) -> dict[str, str]:
        return {"lab": OTHER, "bake": "plex-x", BAKER: str(baker)}

    dead, alive = tags(of_ended()), tags(of_parent())
    for name, found in (("dead", dead), ("alive", alive)):
        incus.instances.held[name] = ObservedInstance(name, "Running", found, True, "", "")
        incus.networks.held[name] = ObservedNetwork(name, found)
        incus.volumes.held[name] = ObservedVolume(name, found)
        properties = {"plexctl.lab": OTHER, "plexctl.baker": found[BAKER]}
        incus.images.add(properties=properties)
    incus.volumes.held["shared"] = ObservedVolume("shared", {**dead, "image": "shared"})

    make(kube())

    assert set(incus.instances.held) == set(incus.networks.held) == {"alive"}
    assert set(incus.volumes.held) == {"alive", "shared", kube().name}
    nameless = [image for image in incus.images.held if not image.names]
    assert [image.properties["plexctl.baker"] for image in nameless] == [alive[BAKER]]


def test_all_that_a_bake_creates_on_its_way_names_its_process(
    incus: FakeIncus, make: Ensure
) -> None:
    make(kube())
    created = incus.instances.config.values()
    assert {config[f"user.plex.{BAKER}"].rpartition("/")[0] for config in created} == {
        str(HERE).rpartition("/")[0]
    }
    assert {image.properties["plexctl.lab"] for image in incus.images.held} == {LAB}
