"""A baked image carried from the host that baked it to another one."""

from __future__ import annotations

from plexctl.bake.bake import BakedImage
from plexctl.clients.incus.host import IncusHost
from plexctl.model.events import Reporter


def carried(
    source: IncusHost, target: IncusHost, image: BakedImage, reporter: Reporter
) -> BakedImage:
    """Have `image` of the host of `source` on the host of `target` too.

    It goes through this machine, piece by piece: the hosts need not reach each other. The target
    holds what it gets against the image's fingerprint.
    """
    there = target.images.list()
    for one in there:
        if image.name in one.names:
            return BakedImage(image.name, one.fingerprint, changed=False)
    with reporter.step(f"carry {image.name} to host {target.name}"):
        if any(one.fingerprint == image.fingerprint for one in there):
            target.images.set_name(image.fingerprint, image.name)
        else:
            with source.images.exported(image.fingerprint) as content:
                target.images.receive(content, image.fingerprint, image.name)
    return BakedImage(image.name, image.fingerprint, changed=True)
