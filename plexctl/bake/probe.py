"""What a host's kernel lets containers do, seen from inside one."""

from __future__ import annotations

import os

from plexctl.clients.host_facts import CAP_SYS_RESOURCE
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.hosts import HostFacts
from plexctl.model.settings import TAG, devices, settings
from plexctl.model.types import Form

LOOK = "stat --file-system --format=%T /sys/fs/cgroup; sed -n 's/^CapBnd:\\s*//p' /proc/1/status"


def probe(incus: IncusHost, image: str, lab: str) -> HostFacts:
    """Look in a transient privileged container of `image` (a fingerprint) of Debian."""
    name = f"plex-bake-probe-{os.getpid()}"
    raw = ("lxc.init.cmd=/bin/sleep infinity", "lxc.mount.auto=cgroup:rw:force", "lxc.cap.drop=")
    config = {
        "security.privileged": "true",
        "raw.lxc": "\n".join(raw),
        f"{TAG}lab": lab,
        f"{TAG}bake": "probe",
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
            f"host {incus.name}: a container does not say what it may do",
            details=(done.stdout + done.stderr).splitlines(),
        )
    cpus, memory = incus.machine()
    allowed = bool(int(seen[1], 16) >> CAP_SYS_RESOURCE & 1)
    return HostFacts(2 if seen[0] == "cgroup2fs" else 1, allowed, cpus, memory)
