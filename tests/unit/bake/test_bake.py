"""A bake makes what is missing, and leaves nothing else behind, however it ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from filelock import FileLock

from plexctl.bake import bake, shared
from plexctl.bake.bake import BakedImage, ensure
from plexctl.bake.prune import prune
from plexctl.clients.incus import Incus
from plexctl.errors import PlexError
from plexctl.model.observed import SeenInstance, SeenNetwork, SeenVolume
from plexctl.plan.recipes import Recipe, layers

from .host import FACTS, LAB, FakeIncus, Silent, kube, role_folder, stored

Ensure = Callable[..., BakedImage]


@pytest.fixture
def incus() -> FakeIncus:
    return FakeIncus()


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch, incus: FakeIncus) -> list[str]:
    """Layers whose tasks were applied, without Ansible and debootstrap."""
    done: list[str] = []

    def root_image(
        _: Incus, base: object, properties: dict[str, str], work: Path, step: Silent
    ) -> str:
        assert work.is_dir()
        return incus.have(properties=properties)

    monkeypatch.setattr(bake, "root_image", root_image)
    monkeypatch.setattr(bake.ansible, "apply", lambda play, **_: done.append(play.tasks))
    return done


@pytest.fixture
def make(tmp_path: Path, incus: FakeIncus, applied: list[str]) -> Ensure:
    role_folder(tmp_path, "base", "base")
    role_folder(tmp_path, "kubenode", "runtime", "kube")
    artifacts = stored(tmp_path)

    def make(recipe: Recipe, reporter: Silent | None = None) -> BakedImage:
        return ensure(
            cast(Incus, incus),
            recipe,
            artifacts=artifacts,
            find_role=lambda role: tmp_path / role,
            facts=FACTS,
            nodes=FACTS,
            lab=LAB,
            reporter=reporter or Silent(),
            work=tmp_path / "work",
        )

    return make


def tagged(name: str, lab: str = LAB) -> SeenInstance:
    return SeenInstance(name, "Running", {"lab": lab, "bake": "plex-x"}, True, "", "")


def have_whole(incus: FakeIncus) -> str:
    """Store the image of `kube()` with what its nodes share; its fingerprint."""
    incus.kept[kube().name] = SeenVolume(kube().name, {"image": kube().name})
    return incus.have(kube().name)


def test_an_image_that_exists_costs_a_look(incus: FakeIncus, make: Ensure) -> None:
    there = have_whole(incus)

    assert make(kube()) == BakedImage(kube().name, there, changed=False)
    assert incus.asked == ["images", "volumes"]


def test_layers_are_baked_from_the_base_up_and_only_images_remain(
    incus: FakeIncus, make: Ensure, applied: list[str], tmp_path: Path
) -> None:
    image = make(kube())

    assert image.changed
    assert applied == ["base", "runtime", "kube"]
    assert incus.names() == {layer.name for layer in layers(kube())}
    assert incus.seen == {}
    assert all(stored.names for stored in incus.stored)
    assert [path.name for path in (tmp_path / "work" / "local").iterdir()] == ["lock"]


def test_a_change_of_the_last_layer_bakes_only_that(
    incus: FakeIncus, make: Ensure, applied: list[str]
) -> None:
    old = make(kube())
    applied.clear()

    new = make(kube(kube="k2"))

    assert applied == ["kube"]
    assert new.name != old.name
    assert old.name in incus.names()  # it serves until the new one does


def test_a_new_image_is_unpacked_by_the_instance_that_copies_what_nodes_share(
    incus: FakeIncus, make: Ensure
) -> None:
    make(kube())

    made = [call for call in incus.asked if call.startswith("create")]
    assert made[-1] == f"create plex-bake-share-{kube().digest[:8]}"
    assert [name for name, volume in incus.kept.items() if volume.whole] == [kube().name]
    assert incus.seen == {}


def test_nodes_of_which_nothing_is_shared_have_their_image_unpacked_by_one_that_never_starts(
    incus: FakeIncus, make: Ensure
) -> None:
    alone = replace(kube(), shared=False)
    make(alone)

    made = [call for call in incus.asked if call.startswith("create")]
    assert made[-1] == f"create plex-bake-unpack-{kube().digest[:8]}"
    assert incus.kept == {}
    assert incus.started == 3


def test_what_could_not_be_copied_whole_is_copied_by_the_next_bake(
    incus: FakeIncus, make: Ensure
) -> None:
    incus.failing = (shared.FILL,)
    with pytest.raises(PlexError, match="cannot be copied"):
        make(kube())
    assert incus.kept == {}
    incus.failing = ()

    assert not make(kube()).changed
    assert incus.kept[kube().name].whole


def test_what_nodes_share_goes_with_their_image(incus: FakeIncus, make: Ensure) -> None:
    make(kube())
    everything = incus.read()
    assert prune(cast(Incus, incus), {layer.name for layer in layers(kube())}) == ()
    assert incus.read() == everything

    prune(cast(Incus, incus), set())

    assert incus.kept == {}
    assert incus.stored == []


def test_an_instance_sees_its_role_and_its_artifacts_whoever_owns_them(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "kubenode" / "files" / "runtime" / "boot"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    modes: dict[str, int] = {}

    def look(play: Any, **_: Any) -> None:
        disk = incus.disks[next(iter(play.machines))]
        assert disk["readonly"] == "true"
        if play.tasks == "runtime":
            stage = Path(disk["source"])
            seen = (stage, *stage.rglob("*"))
            modes.update({str(p.relative_to(stage)): p.stat().st_mode & 0o777 for p in seen})

    monkeypatch.setattr(bake.ansible, "apply", look)
    umask = os.umask(0o077)
    try:
        make(kube())
    finally:
        os.umask(umask)

    assert modes["."] == modes["depot"] == modes["depot/runc"] == modes["role/files"] == 0o755
    assert modes["role/files/runtime/boot"] == 0o755
    assert modes["role/tasks/runtime.yml"] == 0o644
    assert modes["depot/runc/runc"] == 0o444  # the blob itself


def test_a_failed_bake_leaves_the_old_image_and_nothing_of_its_own(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(kube())
    before = incus.read()

    def fail(play: Any, **_: Any) -> None:
        raise PlexError("the task 'Do it' failed")

    monkeypatch.setattr(bake.ansible, "apply", fail)
    with pytest.raises(PlexError, match="'Do it'"):
        make(kube(kube="k2"))

    assert incus.read() == before


def test_what_went_wrong_is_told_even_if_the_rest_cannot_be_removed(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(play: Any, **_: Any) -> None:
        monkeypatch.setattr(incus, "read", refuse)
        raise PlexError("the task 'Do it' failed")

    def refuse() -> None:
        raise PlexError("the server is gone")

    monkeypatch.setattr(bake.ansible, "apply", fail)
    with pytest.raises(PlexError, match="'Do it'"):
        make(kube())


def test_the_next_bake_removes_what_a_killed_one_of_the_same_lab_left(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    other = tagged("another-labs", lab="11111111")
    node = SeenInstance("demo1", "Running", {"lab": LAB, "plex": "demo"}, True, "", "")
    incus.seen = {one.name: one for one in (tagged("left"), other, node)}
    incus.networks["left"] = SeenNetwork("left", {"lab": LAB, "bake": "plex-x"})
    foreign = incus.have()
    half = incus.have(properties={"plexctl.lab": LAB})
    (tmp_path / "work" / "local" / "tmp" / "root").mkdir(parents=True)

    make(kube())

    assert set(incus.seen) == {"another-labs", "demo1"}
    assert incus.networks == {}
    stored = {image.fingerprint for image in incus.stored}
    assert foreign in stored
    assert half not in stored


def test_an_image_that_a_killed_bake_still_publishes_is_waited_for(
    incus: FakeIncus, make: Ensure, applied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incus.seen["left"] = tagged("left")

    def publishing() -> bool:
        busy = kube().name not in incus.names()
        if busy:
            incus.have(kube().name)
        return busy

    monkeypatch.setattr(incus, "publishing", publishing)
    assert not make(kube()).changed
    assert applied == []
    assert incus.seen == {}


def test_leftovers_go_even_if_the_image_is_there_by_now(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    incus.have(kube().name)
    incus.seen["left"] = tagged("left")
    (tmp_path / "work" / "local" / "tmp").mkdir(parents=True)

    assert not make(kube()).changed
    assert incus.seen == {}


def test_an_existing_image_is_had_while_another_bake_is_under_way(
    incus: FakeIncus, make: Ensure, tmp_path: Path
) -> None:
    have_whole(incus)
    incus.seen["theirs"] = tagged("theirs")
    (tmp_path / "work" / "local" / "tmp").mkdir(parents=True)

    with FileLock(tmp_path / "work" / "local" / "lock"):
        assert not make(kube()).changed

    assert set(incus.seen) == {"theirs"}


def test_who_waited_for_a_bake_uses_its_image(
    incus: FakeIncus, make: Ensure, applied: list[str], tmp_path: Path
) -> None:
    """The other bake ends while this one waits."""
    (tmp_path / "work" / "local").mkdir(parents=True)
    lock = FileLock(tmp_path / "work" / "local" / "lock")
    lock.acquire()

    class Waiting(Silent):
        def step(self, title: str, *, expect: str = "") -> Any:
            if title.startswith("wait"):
                have_whole(incus)
                lock.release()
            return super().step(title, expect=expect)

    reporter = Waiting()
    assert not make(kube(), reporter).changed
    assert reporter.titles[0] == "wait for the bake that is under way"
    assert applied == []


def test_a_full_pool_is_told_before_anything_is_made(incus: FakeIncus, make: Ensure) -> None:
    incus.free = 1 << 30

    with pytest.raises(PlexError, match=r"1\.0 GiB left") as raised:
        make(kube())

    assert "bake --prune" in (raised.value.hint or "")
    assert not any(call.startswith("create") for call in incus.asked)


def test_instances_of_two_runs_never_share_a_name(
    incus: FakeIncus, make: Ensure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Ansible that has outlived its plexctl goes on, and must miss."""
    names: list[str] = []

    def remember(play: Any, **_: Any) -> None:
        names.extend(play.machines)

    monkeypatch.setattr(bake.ansible, "apply", remember)
    make(kube())
    incus.stored.clear()
    monkeypatch.setattr(bake.os, "getpid", lambda: 1)
    make(kube())

    assert len(set(names)) == 6


def test_a_node_type_of_only_a_base_is_baked(
    incus: FakeIncus, make: Ensure, applied: list[str]
) -> None:
    base = layers(kube())[0]

    assert make(base).name == base.name
    assert applied == ["base"]
