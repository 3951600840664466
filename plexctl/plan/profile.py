"""What Incus must allow a container that is to be a node."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.hosts import HostFacts

NIC = "eth0"


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
    devices = {
        "root": {"type": "disk", "path": "/", "pool": pool},
        NIC: dict(nic),
    }
    if privileged:
        devices["kmsg"] = {"type": "unix-char", "source": "/dev/kmsg", "path": "/dev/kmsg"}
    return devices
