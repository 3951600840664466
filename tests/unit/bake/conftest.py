"""A bake on a host in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plexctl.bake import incus as incus_bake
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.incus import IncusBuilder
from plexctl.clients import ansible
from plexctl.model.observed import ObservedInstance, ObservedVolume
from plexctl.plan.recipes import Recipe
from tests.fake_incus import FACTS, FakeIncus
from tests.null_reporter import NullReporter

from .host import APPLIED, LAB, SEED, kube, role_folder, stored

Ensure = Callable[..., BakedImage]


@pytest.fixture
def incus() -> FakeIncus:
    return FakeIncus()


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch, incus: FakeIncus) -> list[str]:
    """Layers whose tasks were applied, without Ansible and debootstrap."""
    done: list[str] = []

    def root_image(
        _: FakeIncus, base: object, properties: dict[str, str], work: Path, step: NullReporter
    ) -> str:
        assert work.is_dir()
        return incus.images.add(properties=properties)

    monkeypatch.setattr(incus_bake, "root_image", root_image)

    def apply(play: ansible.Play, **_: object) -> ansible.Applied:
        done.append(play.tasks)
        return APPLIED

    monkeypatch.setattr(ansible, "apply", apply)
    return done


@pytest.fixture
def make(tmp_path: Path, incus: FakeIncus, applied: list[str]) -> Ensure:
    role_folder(tmp_path, "base", "base")
    role_folder(tmp_path, "kubenode", "runtime", "kube")
    artifacts, work = stored(tmp_path), tmp_path / "work"

    def make(recipe: Recipe, reporter: NullReporter | None = None) -> BakedImage:
        setup = BakeSetup(
            artifacts, lambda role: tmp_path / role, SEED, reporter or NullReporter(), work
        )
        return IncusBuilder(incus, setup).ensure(recipe, FACTS)

    return make


def tagged(name: str, lab: str = LAB) -> ObservedInstance:
    return ObservedInstance(name, "Running", {"lab": lab, "bake": "plex-x"}, True, "", "")


def have_whole(incus: FakeIncus) -> str:
    """Store the image of `kube()` with what its nodes share; its fingerprint."""
    incus.volumes.held[kube().name] = ObservedVolume(kube().name, {"image": kube().name})
    return incus.images.add(kube().name, properties={"plexctl.lab": LAB})
