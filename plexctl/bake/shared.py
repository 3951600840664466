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
SEALED = f"{MOUNT}/bin {MOUNT}/cni"
"""Programs. The unpacked images cannot be sealed: a file that is immutable below an overlay is
immutable in it too, so pods could not change or delete it."""

_READ_ONLY = """\
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
try:
    fcntl.ioctl(fd, 0x4008941A, struct.pack("Q", int(sys.argv[2])))  # BTRFS_IOC_SUBVOL_SETFLAGS
except OSError:
    pass  # another file system
"""
READ_ONLY, WRITABLE = 2, 0
"""Flags of a subvolume of btrfs."""


def _flag(value: int) -> str:
    return f"python3 -c '{_READ_ONLY}' {MOUNT} {value}"


FILL = (
    "/bin/sh",
    "-c",
    f"""[ -x {PROGRAM} ] || exit 0
set -e
{_flag(WRITABLE)}
[ ! -e {MOUNT}/bin ] || chattr -R -f -i {MOUNT}/bin || :
[ ! -e {MOUNT}/cni ] || chattr -R -f -i {MOUNT}/cni || :
{PROGRAM} fill {MOUNT}
chattr -R +i {SEALED} || echo "these programs cannot be made immutable" >&2
{_flag(READ_ONLY)}
""",
)
"""Fills the volume, and seals it against the root of a node, who can remount it writable.

An interrupted bake may have sealed it before. A role of the lab's own may lack the program that
fills: its nodes share nothing. On a file system without the attribute, the nodes work as well.
"""

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
    config = container_config(privileged=recipe.privileged, facts=incus.facts(), seals=True)
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
