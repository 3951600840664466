"""Probe what the kernel of a host allows containers, from inside a container."""

from __future__ import annotations

import os
from pathlib import Path

from plexctl.bake.baker import BAKER, this_process
from plexctl.bake.builder import BakedImage
from plexctl.bake.cleanup import sweep
from plexctl.bake.copy import copy_image
from plexctl.bake.lock import BakeLock
from plexctl.clients.host_facts import CAP_SYS_RESOURCE
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.model.host_spec import HostFacts
from plexctl.model.settings import TAG, devices, settings
from plexctl.model.types import Form

LOOK = "stat --file-system --format=%T /sys/fs/cgroup; sed -n 's/^CapBnd:\\s*//p' /proc/1/status"


def probe_remote(
    source: IncusHost, target: IncusHost, base: str, lab: str, work: Path, reporter: Reporter
) -> HostFacts:
    """The facts of `target`, observed in a container of the image `base` of the host `source`.

    `work` is the folder of bakes, see `BakeSetup`.
    """
    there = source.images.find(base)
    assert there is not None, base
    image = BakedImage(base, there.fingerprint, changed=False)
    with BakeLock(work, target.name, lambda: sweep(target, lab), reporter).alone():
        copied = copy_image(source, target, image, lab, reporter)
        with reporter.step(f"probe what the kernel of {target.name} allows containers"):
            return probe(target, copied.fingerprint, lab)


def probe(incus: IncusHost, image: str, lab: str) -> HostFacts:
    """Facts from a temporary privileged container of `image`, the fingerprint of a Debian."""
    name = f"plex-bake-probe-{os.getpid()}"
    raw = ("lxc.init.cmd=/bin/sleep infinity", "lxc.mount.auto=cgroup:rw:force", "lxc.cap.drop=")
    config = {
        "security.privileged": "true",
        "raw.lxc": "\n".join(raw),
        f"{TAG}lab": lab,
        f"{TAG}bake": "probe",
        f"{TAG}{BAKER}": str(this_process()),
    }
    root = {"root": {"type": "disk", "path": "/", "pool": incus.spec.pool}}
    incus.instances.create(
        name,
        image=image,
        form=Form.CONTAINER,
        profiles=(),
        config=settings(config),
        devices=devices(root),
    )
    try:
        incus.start(name)
        done = incus.execute(name, ("/bin/sh", "-c", LOOK))
    finally:
        incus.delete_instance(name)
    seen = done.stdout.split()
    if len(seen) != 2:
        raise PlexError(
            f"host {incus.name}: a container does not report its control groups and capabilities",
            details=(done.stdout + done.stderr).splitlines(),
        )
    cpus, memory = incus.machine()
    allowed = bool(int(seen[1], 16) >> CAP_SYS_RESOURCE & 1)
    return HostFacts(2 if seen[0] == "cgroup2fs" else 1, allowed, cpus, memory)
