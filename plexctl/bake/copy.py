"""Images copied from the host that bakes them to another Incus host."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.bake import shared
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.claims import claim, others, release
from plexctl.bake.cleanup import sweep
from plexctl.bake.incus import IncusBuilder
from plexctl.bake.lock import BakeLock
from plexctl.clients.incus.host import IncusHost
from plexctl.model.events import Reporter
from plexctl.model.host_spec import HostFacts
from plexctl.plan.recipes import Recipe


@dataclass(frozen=True, slots=True)
class CopyBuilder:
    """Bakes on the host of `local`, and copies the image to `target` (see `ImageBuilder`)."""

    local: IncusBuilder
    target: IncusHost
    setup: BakeSetup

    def ensure(self, recipe: Recipe, nodes: HostFacts) -> BakedImage:
        image, target, setup = self.local.ensure(recipe, nodes), self.target, self.setup
        there = target.images.find(image.name)
        if there and shared.is_whole(target, recipe):
            claim(target, (there,), (image.name,), setup.lab)
            return BakedImage(image.name, there.fingerprint, changed=False)
        with BakeLock(setup.work, target.name, self._sweep, setup.reporter).alone():
            copied = copy_image(self.local.incus, target, image, setup.lab, setup.reporter)
            if not shared.is_whole(target, recipe):
                title = f"copy the files that nodes of {image.name} share on host {target.name}"
                with setup.reporter.step(title):
                    shared.fill(target, recipe, copied.fingerprint, setup.lab)
        return copied

    def _sweep(self) -> None:
        sweep(self.target, self.setup.lab)


def copy_image(
    source: IncusHost, target: IncusHost, image: BakedImage, lab: str, reporter: Reporter
) -> BakedImage:
    """Copy `image` from one host to another, if it is missing there.

    It goes through this machine, piece by piece: the hosts need not reach each other. The target
    verifies the image's fingerprint. Of the labs that use it there, `lab` is the first.
    """
    there = target.images.list()
    for one in there:
        if image.name in one.names:
            claim(target, (one,), (image.name,), lab)
            return BakedImage(image.name, one.fingerprint, changed=False)
    with reporter.step(f"copy {image.name} to host {target.name}"):
        if any(one.fingerprint == image.fingerprint for one in there):
            target.images.set_name(image.fingerprint, image.name)
        else:
            with source.images.exported(image.fingerprint) as content:
                target.images.receive(content, image.fingerprint, image.name)
        for one in target.images.list():
            if image.name in one.names:
                for other in others(one, lab):  # they use it on the other host
                    release(target, one, other)
                claim(target, (one,), (image.name,), lab)
    return BakedImage(image.name, image.fingerprint, changed=True)
