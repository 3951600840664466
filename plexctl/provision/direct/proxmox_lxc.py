"""Containers of Proxmox VE: what plexctl tells it of a node that is one."""

from __future__ import annotations

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.plan.boot.files import BOOT_TAR
from plexctl.plan.resources.types import Instance

DISK = 12
"""GiB of a node's disk where nothing is said: its images are unpacked on it."""


NODE = (
    # What kubelet and containerd need, as on Incus hosts: the API takes none of it.
    "lxc.apparmor.profile: unconfined",
    "lxc.cap.drop:",
    "lxc.cgroup2.devices.allow: a",
    "lxc.mount.auto: proc:rw sys:rw cgroup:rw:force",
    "lxc.mount.entry: /dev/kmsg dev/kmsg none bind,create=file 0 0",
)


def write_files(server: ProxmoxHost, vmid: int, node: Instance) -> None:
    """Give a stopped container what the API does not take: leave to be a node, and its files."""
    if dict(node.config)["privileged"] == "yes":
        server.containers.set_raw(vmid, NODE)
    server.containers.write_file(vmid, BOOT_TAR, node.boot)


def container_options(node: Instance, pool: str) -> dict[str, object]:
    """What the API is told. Where nothing is said a node has all processors of its host."""
    config = dict(node.config)
    network = f"name=eth0,bridge={config['bridge']},hwaddr={config['mac']},type=veth"
    if "vlan" in config:
        network += f",tag={config['vlan']}"
    size = -(-int(config["disk"]) >> 10) if "disk" in config else DISK
    found: dict[str, object] = {
        "rootfs": f"{pool}:{size}",
        "net0": network,
        # A node sets its name, its address and its resolver itself.
        "ostype": "unmanaged",
        "unprivileged": 0 if config["privileged"] == "yes" else 1,
        "onboot": 1,
        "swap": 0,
        "memory": int(config["memory"]),
    }
    if "cores" in config:
        found["cores"] = int(config["cores"])
    return found
