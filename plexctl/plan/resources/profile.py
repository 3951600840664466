"""What Incus must allow an instance that is to be a node, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.hosts import HostFacts
from plexctl.model.types import Base, BaseSource, Form

NIC = "eth0"

SHARED = "/usr/local/lib/plexctl/shared"
"""Where a container sees the volume that it shares with its host's other nodes of its image."""


def shared_disk(image: str, pool: str) -> dict[str, str]:
    """The device with what all nodes of an image have alike; the volume has the image's name."""
    return {"type": "disk", "pool": pool, "source": image, "path": SHARED, "readonly": "true"}


def node_config(form: Form, *, privileged: bool, facts: HostFacts) -> dict[str, str]:
    """Incus config keys of a node, whatever it is."""
    if form is Form.VM:
        return vm_config()
    return container_config(privileged=privileged, facts=facts)


def node_devices(
    base: Base, *, nic: Mapping[str, str], pool: str, privileged: bool
) -> dict[str, dict[str, str]]:
    """Devices of a node, whatever it is: its root disk, one NIC, and what its form needs."""
    if base.form is Form.VM:
        return {**_disk_and_nic(nic, pool), **vm_devices(base)}
    return container_devices(nic=nic, pool=pool, privileged=privileged)


def vm_config() -> dict[str, str]:
    """Incus config keys of a VM: it has a kernel of its own, and so needs no leave.

    Nothing signs the kernel of most images. What a node boots is known by its checksum anyway.
    """
    return {"security.secureboot": "false"}


def vm_devices(base: Base) -> dict[str, dict[str, str]]:
    """Devices that only a VM has.

    The kernel of a cloud image has no 9p, over which the server's agent has its configuration
    otherwise: it is given a disk with that.
    """
    if base.source is BaseSource.CLOUD:
        return {"agent": {"type": "disk", "source": "agent:config"}}
    return {}


def container_config(*, privileged: bool, facts: HostFacts) -> dict[str, str]:
    """Incus config keys of a container.

    A privileged one can run kubelet and containerd: it sees /proc, /sys and its control groups
    writable, all devices, and keeps every capability that the host gives. `cgroup:rw:force` makes
    LXC mount the groups even where it believes that systemd would, which version 1 needs.
    """
    if not privileged:
        return {"security.nesting": "true"}
    version = "cgroup" if facts.cgroup == 1 else "cgroup2"
    raw = {
        "lxc.apparmor.profile": "unconfined",
        "lxc.mount.auto": "proc:rw sys:rw cgroup:rw:force",
        f"lxc.{version}.devices.allow": "a",
        "lxc.cap.drop": "",
    }
    return {
        "security.privileged": "true",
        "security.nesting": "true",
        "raw.lxc": "\n".join(f"{key}={value}" for key, value in raw.items()),
    }


def container_devices(
    *, nic: Mapping[str, str], pool: str, privileged: bool
) -> dict[str, dict[str, str]]:
    """Devices of a container: its root disk, one NIC, and the kernel log for kubelet."""
    devices = _disk_and_nic(nic, pool)
    if privileged:
        devices["kmsg"] = {"type": "unix-char", "source": "/dev/kmsg", "path": "/dev/kmsg"}
    return devices


def _disk_and_nic(nic: Mapping[str, str], pool: str) -> dict[str, dict[str, str]]:
    return {"root": {"type": "disk", "path": "/", "pool": pool}, NIC: dict(nic)}
