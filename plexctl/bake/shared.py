"""The volume with the files that all nodes of an image share: the host caches them only once.

The image itself is complete: a node works without the volume.
"""

from __future__ import annotations

import os

from plexctl.bake.cleanup import BAKE, tags
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.settings import TAG, devices, settings
from plexctl.plan.recipes import Recipe
from plexctl.plan.resources.profile import container_config

MOUNT = "/mnt"
"""Where the volume is mounted while it is filled: a folder that every image has, empty."""

PROGRAM = "/usr/local/lib/plexctl/share"
FILL = ("/bin/sh", "-c", f"[ ! -x {PROGRAM} ] || exec {PROGRAM} fill {MOUNT}")
"""A role of the lab's own may lack this program: its nodes share nothing."""

SLEEP = "lxc.init.cmd=/bin/sleep infinity"
"""Process 1 of a container in which no service of its system may run."""


def is_whole(incus: IncusHost, recipe: Recipe) -> bool:
    """Whether the host has the complete volume that nodes of `recipe` share, if they share one."""
    if not recipe.shared:
        return True
    volume = incus.volumes.list().get(recipe.name)
    return volume is not None and volume.whole


def fill(incus: IncusHost, recipe: Recipe, fingerprint: str, lab: str) -> None:
    """Create and fill the volume of a recipe's image that is on the host.

    The caller holds the lock. The volume of an interrupted bake is used. Its last tag marks it as
    complete. PlexError with the output of the program that fills it, if that fails.
    """
    volume, pool = recipe.name, incus.spec.pool
    tagged = tags(recipe, lab)
    incus.volumes.put(volume, pool, settings(tagged), exists=volume in incus.volumes.list())
    config = container_config(privileged=recipe.privileged, facts=incus.facts())
    config["raw.lxc"] = "\n".join((config["raw.lxc"], SLEEP))
    name = f"{BAKE}share-{recipe.digest[:8]}-{os.getpid()}"
    incus.instances.create(
        name,
        image=fingerprint,
        form=recipe.base.form,
        profiles=(),
        config=settings(config | tagged),
        devices=devices(
            {
                "root": {"type": "disk", "path": "/", "pool": pool},
                "shared": {"type": "disk", "pool": pool, "source": volume, "path": MOUNT},
            }
        ),
    )
    incus.start(name)
    done = incus.execute(name, FILL, timeout=300)
    if done.code != 0:
        said = done.stderr.splitlines()[-5:]
        raise PlexError(f"cannot copy the files that nodes of {volume} share", details=said)
    incus.volumes.put(volume, pool, settings({**tagged, f"{TAG}image": volume}), exists=True)
    incus.delete_instance(name)
