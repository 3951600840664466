"""Bake a recipe to an image on an Incus host, layer by layer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from plexctl.bake import shared, vm
from plexctl.bake.base import (
    BakeNetwork,
    bake_network,
    create_bridge,
    install_packages,
    needs_network,
    root_image,
)
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.claims import claim, is_claimed
from plexctl.bake.clean import CLEAN, VM_CLEAN
from plexctl.bake.cleanup import BAKE, properties, root_properties, sweep, tags
from plexctl.bake.layer import apply_layer, check_programs
from plexctl.bake.lock import BakeLock
from plexctl.bake.stage import stage_layer
from plexctl.clients import ansible
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.events import Step
from plexctl.model.host_spec import HostFacts
from plexctl.model.settings import devices, settings
from plexctl.model.types import BaseSource, Form
from plexctl.plan.recipes import Recipe, layers
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.profile import NIC, node_config, vm_devices

STAGE = "/mnt"
"""Where the files of a layer are mounted: a folder that every image has, empty."""

POOL_NEED = 4 << 30
"""Bytes of the storage pool that a bake may need."""


@dataclass(frozen=True, slots=True)
class IncusBuilder:
    """Bakes on an Incus server of this machine (see `ImageBuilder`)."""

    incus: IncusHost
    setup: BakeSetup

    def ensure(self, recipe: Recipe, nodes: HostFacts) -> BakedImage:
        bake = _IncusBake(self.incus, self.setup, nodes)
        found = bake.whole(recipe)
        if found is None:
            with bake.lock.alone():
                found = bake.image(recipe)
                bake.unpack(recipe, found)
        else:
            bake.lock.clean_up()
        return found


@dataclass(frozen=True, slots=True)
class _IncusBake:
    """Inputs of all layers of one bake. `nodes` is the kernel that the image's nodes run on."""

    incus: IncusHost
    setup: BakeSetup
    nodes: HostFacts

    @property
    def lab(self) -> str:
        return self.setup.lab

    @property
    def lock(self) -> BakeLock:
        work, reporter = self.setup.work, self.setup.reporter
        return BakeLock(work, self.incus.name, lambda: sweep(self.incus, self.lab), reporter)

    def find(self, recipe: Recipe) -> BakedImage | None:
        """The recipe's image if the host has it. It has the lab's mark then."""
        found = self.incus.images.find(recipe.name)
        if found and not is_claimed(found, self.lab):
            names = (layer.name for layer in layers(recipe))
            claim(self.incus, self.incus.images.list(), names, self.lab)
        return BakedImage(recipe.name, found.fingerprint, changed=False) if found else None

    def whole(self, recipe: Recipe) -> BakedImage | None:
        """The recipe's image if the host has it, and the volume that its nodes share."""
        found = self.find(recipe)
        return found if found and shared.is_whole(self.incus, recipe) else None

    def image(self, recipe: Recipe) -> BakedImage:
        """The recipe's image; if the host lacks it, it is baked on that of the layer below."""
        found = self.find(recipe)
        if found is not None:
            return found
        below = self.image(recipe.parent).fingerprint if recipe.parent else None
        self._require_space()
        expect = "" if below else "about 2 minutes"
        with self.setup.reporter.step(f"bake {recipe.name}", expect=expect) as step:
            root = below or self._root(recipe, step)
            name = self._create(recipe, root, self._stage(recipe))
            self._start(recipe, name, step)
            if self._networked(recipe):
                step.progress(f"install the packages of {recipe.base.name}")
                install_packages(self.incus, name, recipe.base, self._network)
            self._apply(recipe, name, step)
            self._clean(recipe, name)
            # The disk of a VM is complete only once its system has shut down.
            self.incus.stop(name, force=recipe.base.form is Form.CONTAINER)
            step.progress("publish the image")
            fingerprint = self.incus.images.publish(name, recipe.name, properties(recipe, self.lab))
        return BakedImage(recipe.name, fingerprint, changed=True)

    def _start(self, recipe: Recipe, name: str, step: Step) -> None:
        self.incus.start(name)
        if recipe.base.form is Form.VM:
            step.progress("wait until the VM has booted")
            vm.await_agent(self.incus, name)
            vm.await_boot(self.incus, name)

    def unpack(self, recipe: Recipe, image: BakedImage) -> None:
        """Let the storage pool unpack an image, so that its first instance is created quickly."""
        with self.setup.reporter.step(f"unpack {image.name} into the storage pool"):
            if shared.is_whole(self.incus, recipe):
                self._create(recipe, image.fingerprint, None)
            else:
                shared.fill(self.incus, recipe, image.fingerprint, self.lab)

    def _root(self, recipe: Recipe, step: Step) -> str:
        step.progress(f"create the root file system of {recipe.base.name}")
        if self._networked(recipe):
            create_bridge(self.incus, self._network, tags(recipe, self.lab))
        work = self.lock.temporary / "root"
        work.mkdir()
        base, named = recipe.base, root_properties(recipe, self.lab)
        if base.source is BaseSource.CLOUD:
            disks = self.setup.work / "disks"
            return vm.cloud_image(self.incus, base, named, work, disks, step)
        return root_image(self.incus, base, named, work, step)

    @property
    def _network(self) -> BakeNetwork:
        return bake_network(self.incus.spec, self.lab)

    def _networked(self, recipe: Recipe) -> bool:
        return recipe.parent is None and needs_network(recipe.base)

    def _require_space(self) -> None:
        free, host = self.incus.pool_free(), self.incus.spec
        if free < POOL_NEED:
            raise PlexError(
                f"pool {host.pool!r} on host {host.name!r} has {free / (1 << 30):.1f} GiB left; "
                f"a bake needs {POOL_NEED >> 30} GiB",
                hint="free some with `plexctl bake --prune`, or name another pool in "
                "clusters/hosts.yaml",
            )

    def _stage(self, recipe: Recipe) -> Path:
        """A folder with a layer's role, and its artifacts by component and name."""
        folder = self.lock.temporary / recipe.layer.name
        role = self.setup.find_role(recipe.role)
        return stage_layer(recipe, role, self.setup.artifacts, folder)

    def _create(self, recipe: Recipe, image: str, stage: Path | None) -> str:
        """Create a stopped instance with `stage` mounted; returns its name.

        Process 1 of a container only sleeps: nothing of the system runs that could write keys or
        logs, no network is needed, and it can be stopped at once. A VM boots. Each name is unique:
        an Ansible that has outlived its plexctl must not find the instance of the next bake.
        """
        kind = recipe.layer.name if stage else "unpack"
        name = f"{BAKE}{kind}-{recipe.digest[:8]}-{os.getpid()}"
        base, pool = recipe.base, self.incus.spec.pool
        config = node_config(base.form, privileged=recipe.privileged, facts=self.incus.facts())
        disks = {"root": {"type": "disk", "path": "/", "pool": pool}}
        if base.form is Form.VM:
            config |= vm.LIMITS
            disks |= vm_devices(base)
        else:
            raw = (config.get("raw.lxc", ""), shared.SLEEP)
            config["raw.lxc"] = "\n".join(raw).strip()
        config |= tags(recipe, self.lab)
        if stage:
            source = {"source": str(stage), "path": STAGE, "readonly": "true"}
            disks["stage"] = {"type": "disk", **source}
            if self._networked(recipe):
                nic = {"type": "nic", "network": self._network.bridge, "name": NIC}
                disks[NIC] = {**nic, "hwaddr": self._network.mac}
                disks |= self._seed(recipe, name)
        self.incus.instances.create(
            name,
            image=image,
            form=recipe.base.form,
            profiles=(),
            config=settings(config),
            devices=devices(disks),
        )
        return name

    def _seed(self, recipe: Recipe, name: str) -> dict[str, dict[str, str]]:
        """Create the seed that a cloud image boots with, if it is one; returns its device."""
        pool = self.incus.spec.pool
        device = vm.bake_devices(recipe.base, name, pool)
        if device:
            content = vm.bake_seed(self._network)
            self.incus.volumes.create_disc(
                seed_volume(name), pool, content, settings(tags(recipe, self.lab))
            )
        return device

    def _apply(self, recipe: Recipe, name: str, step: Step) -> None:
        spec = self.incus.spec
        apply_layer(
            recipe,
            self.setup.find_role(recipe.role),
            (name, ansible.incus(name, spec.name if spec.url else None, spec.project)),
            stage=STAGE,
            nodes=self.nodes,
            step=step,
            work=self.lock.temporary,
            logs=self.lock.folder,
            env=self.setup.incus_environment(spec),
        )
        check_programs(
            recipe,
            self.setup.artifacts,
            lambda script: self.incus.execute(name, ("/bin/sh", "-c", script), timeout=60),
        )

    def _clean(self, recipe: Recipe, name: str) -> None:
        script = CLEAN if recipe.base.form is Form.CONTAINER else VM_CLEAN
        done = self.incus.execute(name, ("/bin/sh", "-c", script), timeout=60)
        if done.code != 0:
            raise PlexError(f"{name} could not be cleaned", details=done.stderr.splitlines())
