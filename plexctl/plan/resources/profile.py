"""The config keys and devices of Incus that make an instance a node."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.host_spec import HostFacts
from plexctl.model.types import Base, BaseSource, Form

NIC = "eth0"

SHARED = "/usr/local/lib/plexctl/shared"
"""The mount point of the volume that all nodes of one image on a host share."""


def shared_disk(image: str, pool: str) -> dict[str, str]:
    """The device with the files that all nodes of an image share; the volume is named like it."""
    return {"type": "disk", "pool": pool, "source": image, "path": SHARED, "readonly": "true"}


def node_config(form: Form, *, privileged: bool, facts: HostFacts) -> dict[str, str]:
    """Incus config keys of a node."""
    if form is Form.VM:
        return vm_config()
    return container_config(privileged=privileged, facts=facts)


def node_devices(
    base: Base, *, nic: Mapping[str, str], pool: str, privileged: bool
) -> dict[str, dict[str, str]]:
    """Devices of a node: its root disk, one NIC, and what its form needs."""
    if base.form is Form.VM:
        return {**_disk_and_nic(nic, pool), **vm_devices(base)}
    return container_devices(nic=nic, pool=pool, privileged=privileged)


def vm_config() -> dict[str, str]:
    """Incus config keys of a VM. It has its own kernel, and so needs no privileges.

    The kernels of most images are not signed. The image is verified by its checksum anyway.
    """
    return {"security.secureboot": "false"}


def vm_devices(base: Base) -> dict[str, dict[str, str]]:
    """Devices that only a VM has.

    The kernel of a cloud image has no 9p, with which the Incus agent otherwise reads its
    configuration: the agent reads it from a disk.
    """
    if base.source is BaseSource.CLOUD:
        return {"agent": {"type": "disk", "source": "agent:config"}}
    return {}


def container_config(*, privileged: bool, facts: HostFacts, seals: bool = False) -> dict[str, str]:
    """Incus config keys of a container.

    A privileged container can run kubelet and containerd: /proc, /sys and its control groups are
    writable, all devices are allowed, and it keeps the capabilities that the host has.
    `cgroup:rw:force` makes LXC mount the control groups even if it expects systemd to do so, which
    version 1 needs. Only a container that `seals` files can set and clear their attribute
    "immutable": the root of a node must not change the programs that other nodes share.
    """
    if not privileged:
        return {"security.nesting": "true"}
    version = "cgroup" if facts.cgroup == 1 else "cgroup2"
    raw = (
        "lxc.apparmor.profile=unconfined",
        "lxc.mount.auto=proc:rw sys:rw cgroup:rw:force",
        f"lxc.{version}.devices.allow=a",
        "lxc.cap.drop=",  # empties the list that Incus has written
        *(() if seals else ("lxc.cap.drop=linux_immutable",)),
    )
    return {
        "security.privileged": "true",
        "security.nesting": "true",
        "raw.lxc": "\n".join(raw),
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
