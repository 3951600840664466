"""A bake leaves no objects behind, however it or another bake ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from plexctl.bake.layer import check_programs
from plexctl.clients import ansible, process
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.observed import ObservedInstance, ObservedNetwork
from plexctl.plan.recipes import layers
from tests.fake_incus import FakeIncus
from tests.null_reporter import NullReporter

from .conftest import Ensure, have_whole, tagged
from .host import APPLIED, LAB, kube, stored


def test_a_failed_bake_leaves_the_old_image_and_nothing_of_its_own(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(kube())
    before = incus.read()

    def fail(play: Any, **_: Any) -> None:
        raise PlexError("the task 'Do it' failed")

    monkeypatch.setattr(ansible, "apply", fail)
    with pytest.raises(PlexError, match="'Do it'"):
        make(kube(kube="k2"))

    assert incus.read() == before


def test_the_first_error_is_reported_even_if_cleanup_fails(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(play: Any, **_: Any) -> None:
        monkeypatch.setattr(incus, "read", refuse)
        raise PlexError("the task 'Do it' failed")

    def refuse() -> None:
        raise PlexError("the server is gone")

    monkeypatch.setattr(ansible, "apply", fail)
    with pytest.raises(PlexError, match="'Do it'"):
        make(kube())


def test_the_next_bake_deletes_objects_of_a_killed_one_of_the_same_lab(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    other = tagged("another-labs", lab="11111111")
    node = ObservedInstance("demo1", "Running", {"lab": LAB, "plex": "demo"}, True, "", "")
    incus.instances.held = {one.name: one for one in (tagged("left"), other, node)}
    incus.networks.held["left"] = ObservedNetwork("left", {"lab": LAB, "bake": "plex-x"})
    foreign = incus.images.add()
    half = incus.images.add(properties={"plexctl.lab": LAB})
    (tmp_path / "work" / "local" / "tmp" / "root").mkdir(parents=True)

    make(kube())

    assert set(incus.instances.held) == {"another-labs", "demo1"}
    assert incus.networks.held == {}
    stored = {image.fingerprint for image in incus.images.held}
    assert foreign in stored
    assert half not in stored


def test_a_bake_waits_for_an_image_that_a_killed_one_still_publishes(
    incus: FakeIncus, make: Ensure, applied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incus.instances.held["left"] = tagged("left")

    def publishing() -> bool:
        busy = kube().name not in incus.images.names()
        if busy:
            incus.images.add(kube().name)
        return busy

    monkeypatch.setattr(incus.images, "publishing", publishing)
    assert not make(kube()).changed
    assert applied == []
    assert incus.instances.held == {}


def test_objects_of_a_killed_bake_are_deleted_even_if_the_image_exists_by_now(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    incus.images.add(kube().name)
    incus.instances.held["left"] = tagged("left")
    (tmp_path / "work" / "local" / "tmp").mkdir(parents=True)

    assert not make(kube()).changed
    assert incus.instances.held == {}


def test_an_existing_image_is_found_while_another_bake_is_under_way(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    have_whole(incus)
    incus.instances.held["theirs"] = tagged("theirs")
    (tmp_path / "work" / "local" / "tmp").mkdir(parents=True)

    with FileLock(tmp_path / "work" / "local" / "lock"):
        assert not make(kube()).changed

    assert set(incus.instances.held) == {"theirs"}


def test_a_bake_that_waited_for_another_uses_its_image(
    incus: FakeIncus, make: Ensure, applied: list[str], tmp_path: Path
) -> None:
    """The other bake ends while this one waits."""
    (tmp_path / "work" / "local").mkdir(parents=True)
    lock = FileLock(tmp_path / "work" / "local" / "lock")
    lock.acquire()

    class Waiting(NullReporter):
        def step(self, title: str, *, expect: str = "") -> Any:
            if title.startswith("wait"):
                have_whole(incus)
                lock.release()
            return super().step(title, expect=expect)

    reporter = Waiting()
    assert not make(kube(), reporter).changed
    assert reporter.titles[0] == "wait for the bake that is under way"
    assert applied == []


def test_a_full_pool_is_reported_before_anything_is_created(incus: FakeIncus, make: Ensure) -> None:
    incus.free = 1 << 30

    with pytest.raises(PlexError, match=r"1\.0 GiB left") as raised:
        make(kube())

    assert "bake --prune" in (raised.value.hint or "")
    assert incus.names("instances.create") == []


def test_instances_of_two_runs_never_share_a_name(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Ansible that has outlived its plexctl goes on, and must miss."""
    names: list[str] = []

    def store_digests(play: Any, **_: Any) -> ansible.Applied:
        names.extend(play.machines)
        return APPLIED

    monkeypatch.setattr(ansible, "apply", store_digests)
    make(kube())
    incus.images.held.clear()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    make(kube())

    assert len(set(names)) == 6


def test_a_node_type_of_only_a_base_is_baked(
    incus: FakeIncus, make: Ensure, applied: list[str]
) -> None:
    base = layers(kube())[0]

    assert make(base).name == base.name
    assert applied == ["base"]


def test_a_layer_of_which_no_task_was_applied_is_no_image(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ANSIBLE_RUN_TAGS=deploy plexctl bake` named an image with nothing in it."""
    monkeypatch.setattr(ansible, "apply", lambda play, **_: ansible.Applied((), {}))
    with pytest.raises(PlexError, match="no task of layer base of role base was applied"):
        make(kube())
    assert not incus.images.held


def test_an_image_without_the_programs_of_its_layer_gets_no_name(
    incus: FakeIncus, make: Ensure
) -> None:
    incus.instances.lacking.add("runc")
    with pytest.raises(PlexError, match="the image has no program of runc"):
        make(kube())
    parent = kube().parent
    assert parent is not None
    assert incus.read().image(parent.name) is None


def test_the_programs_are_found_by_a_real_find(tmp_path: Path) -> None:
    """Where a role has installed them, if they can be run."""
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    program = tmp_path / "usr/local/bin/runc"
    program.touch(0o644)

    def run(script: str) -> CommandResult:
        script = script.replace("/usr /opt", f"{tmp_path}/usr {tmp_path}/opt")
        return process.run(("/bin/sh", "-c", script), timeout=120, check=False)

    parent = kube().parent
    assert parent is not None
    with pytest.raises(PlexError, match="no program of runc"):
        check_programs(parent, stored(tmp_path), run)
    program.chmod(0o755)
    (tmp_path / "4ad5b0").unlink()
    check_programs(parent, stored(tmp_path), run)
