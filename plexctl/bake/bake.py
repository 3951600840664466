"""From a recipe to an image on a host, layer by layer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock

from plexctl.bake.base import root_image
from plexctl.bake.clean import CLEAN
from plexctl.bake.roles import FindRole, tasks_file
from plexctl.clients import ansible
from plexctl.clients.incus import Incus
from plexctl.depot.store import Stored
from plexctl.errors import PlexError
from plexctl.model.events import Reporter, Step
from plexctl.model.hosts import HostFacts
from plexctl.plan.profile import container_config
from plexctl.plan.recipes import Recipe, layers
from plexctl.plan.resources import TAG, devices, settings

PROPERTY = "plexctl."
"""Prefix of the properties that say what a baked image is."""

STAGE = "/mnt"
"""Where an instance sees what its layer is made of: a folder that every image has, empty."""

POOL_NEED = 4 << 30


@dataclass(frozen=True, slots=True)
class BakedImage:
    """An image on a host. `changed` says whether it was baked just now."""

    name: str
    fingerprint: str
    changed: bool


def ensure(
    incus: Incus,
    recipe: Recipe,
    *,
    artifacts: Mapping[str, Stored],
    find_role: FindRole,
    facts: HostFacts,
    lab: str,
    reporter: Reporter,
    work: Path,
) -> BakedImage:
    """Have the image of `recipe` on the host of `incus`, and those of the layers below it.

    One call if it is there. `artifacts` are depot components by name, `work` is a folder of the
    user's on a disk; it holds locks and logs. What an interrupted bake left is removed first; an
    image that has its name is never touched. PlexError if it cannot be baked.
    """
    found = _named(incus, recipe)
    if found is not None:
        return BakedImage(recipe.name, found, changed=False)
    folder = work / incus.host.name
    folder.mkdir(parents=True, exist_ok=True)
    bake = _Bake(incus, artifacts, find_role, facts, lab, reporter, folder)
    # One bake at a time on a host: recipes share layers, and each uses all of the machine.
    with FileLock(folder / "lock"):
        bake.sweep()
        fingerprint, changed = "", False
        for layer in layers(recipe):
            found = _named(incus, layer)
            changed = found is None
            fingerprint = found or bake.layer(layer, fingerprint)
        if changed:
            bake.unpack(recipe, fingerprint)
    return BakedImage(recipe.name, fingerprint, changed)


def _named(incus: Incus, recipe: Recipe) -> str | None:
    """The fingerprint of the recipe's image if the host has it."""
    images = (image for image in incus.images() if recipe.name in image.names)
    return next((image.fingerprint for image in images), None)


@dataclass(frozen=True, slots=True)
class _Bake:
    """What all layers of one bake share. `folder` is only this bake's, by the lock in it."""

    incus: Incus
    artifacts: Mapping[str, Stored]
    find_role: FindRole
    facts: HostFacts
    lab: str
    reporter: Reporter
    folder: Path

    def sweep(self) -> None:
        """Remove what an interrupted bake of this lab left."""
        for instance in self.incus.instances().values():
            if "bake" in instance.tags and instance.tags.get("lab") == self.lab:
                self.incus.delete_instance(instance.name)
        for image in self.incus.images():
            if not image.names and image.properties.get(f"{PROPERTY}lab") == self.lab:
                self.incus.delete_image(image.fingerprint)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def layer(self, recipe: Recipe, parent: str) -> str:
        """Bake one layer on the image `parent` (of a base: on nothing); its fingerprint."""
        free = self.incus.pool_free()
        if free < POOL_NEED:
            pool = self.incus.host.pool
            raise PlexError(
                f"pool {pool!r} on host {self.incus.host.name} has {free / (1 << 30):.1f} GiB "
                f"left; a bake needs {POOL_NEED >> 30} GiB",
                hint="free some with `plexctl bake --prune`, or name another pool in "
                "clusters/hosts.yaml",
            )
        expect = "" if recipe.parent else "about 2 minutes"
        with self.reporter.step(f"bake {recipe.name}", expect=expect) as step:
            root = "" if parent else self._root(recipe, step)
            stage = self._stage(recipe)
            with self._instance(recipe, parent or root, stage) as name:
                self.incus.start(name)
                self._apply(recipe, name, step)
                self._clean(name)
                self.incus.stop(name)
                step.progress("publish the image")
                fingerprint = self.incus.publish(name, recipe.name, self._properties(recipe))
            if root:
                self.incus.delete_image(root)
            shutil.rmtree(self._temporary)
        return fingerprint

    def unpack(self, recipe: Recipe, fingerprint: str) -> None:
        """Have the storage pool unpack an image, so that the first instance of it is quick."""
        with (
            self.reporter.step(f"unpack {recipe.name} into the storage pool"),
            self._instance(recipe, fingerprint, None),
        ):
            pass

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def _properties(self, recipe: Recipe) -> dict[str, str]:
        return {
            f"{PROPERTY}recipe": recipe.name,
            f"{PROPERTY}layer": recipe.layer.name,
            f"{PROPERTY}kubernetes": recipe.kubernetes,
            f"{PROPERTY}lab": self.lab,
        }

    def _root(self, recipe: Recipe, step: Step) -> str:
        step.progress(f"make the root file system of {recipe.base.name}")
        work = self._temporary / "base"
        work.mkdir(parents=True)
        return root_image(self.incus, recipe.base, self._properties(recipe), work)

    def _stage(self, recipe: Recipe) -> Path:
        """A folder with a layer's role, and its artifacts by component and name."""
        stage = self._temporary / "stage"
        shutil.copytree(self.find_role(recipe.role), stage / "role")
        for component in recipe.layer.artifacts:
            folder = stage / "depot" / component
            folder.mkdir(parents=True)
            for artifact in self.artifacts[component].artifacts:
                _link(artifact.path, folder / artifact.name)
        return stage

    @contextmanager
    def _instance(self, recipe: Recipe, image: str, stage: Path | None) -> Iterator[str]:
        """A stopped instance for one layer; it is gone afterwards. Gives its name.

        Its process 1 only sleeps: nothing of the system runs that could write keys or logs, no
        network is needed, and it can be stopped at once.
        """
        name = f"plex-bake-{recipe.layer.name}-{recipe.digest[:8]}"
        config = container_config(privileged=recipe.privileged, facts=self.facts)
        raw = (config.get("raw.lxc", ""), "lxc.init.cmd=/bin/sleep infinity")
        config["raw.lxc"] = "\n".join(raw).strip()
        config[f"{TAG}lab"] = self.lab
        config[f"{TAG}bake"] = recipe.name
        disks = {"root": {"type": "disk", "path": "/", "pool": self.incus.host.pool}}
        if stage is not None:
            source = {"source": str(stage), "path": STAGE, "readonly": "true"}
            disks["stage"] = {"type": "disk", **source}
        self.incus.create(
            name,
            image=image,
            form=recipe.base.form,
            profiles=(),
            config=settings(config),
            devices=devices(disks),
        )
        try:
            yield name
        except BaseException:
            # What went wrong is the news, not that the rest could not be removed either.
            with suppress(PlexError):
                self.incus.delete_instance(name)
            raise
        self.incus.delete_instance(name)

    def _apply(self, recipe: Recipe, name: str, step: Step) -> None:
        role = self.find_role(recipe.role)
        total = len(yaml.safe_load(tasks_file(role, recipe.layer.name).read_text()))
        begun = iter(range(total))
        play = ansible.Play(
            role=role,
            tasks=recipe.layer.name,
            machines={name: ansible.incus(name)},
            variables={
                "plex_depot": f"{STAGE}/depot",
                "plex_role": f"{STAGE}/role",
                "plex_cgroup": self.facts.cgroup,
                "plex_sys_resource": self.facts.sys_resource,
                "plex_kubernetes": recipe.kubernetes,
            },
        )
        ansible.apply(
            play,
            log=self.folder / f"{recipe.name}.log",
            on_task=lambda task: step.progress(task, next(begun, total) / total),
            env={"INCUS_SOCKET": self.incus.host.socket},
        )

    def _clean(self, name: str) -> None:
        done = self.incus.execute(name, ("/bin/sh", "-c", CLEAN), timeout=60)
        if done.code != 0:
            raise PlexError(f"{name} could not be cleaned", details=done.stderr.splitlines())


def _link(source: Path, target: Path) -> None:
    """Have a file under a second name; a copy where the two folders are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
