"""Specs of guests as options of Proxmox VE's API. Pure."""

from __future__ import annotations

from plexctl.plan.resources.specs import ProxmoxSpec

DISK = 12
"""GiB of a container's disk without a size in its type: images are unpacked on it."""

RAW_NODE_OPTIONS = (
    # kubelet and containerd need them, as on Incus hosts. The API accepts none of these options.
    "lxc.apparmor.profile: unconfined",
    "lxc.cap.drop:",
    "lxc.cgroup2.devices.allow: a",
    "lxc.mount.auto: proc:rw sys:rw cgroup:rw:force",
    "lxc.mount.entry: /dev/kmsg dev/kmsg none bind,create=file 0 0",
)


def vm_options(spec: ProxmoxSpec, seed: str) -> dict[str, object]:
    """Options of a cloned VM; `seed` is the volume with its files."""
    found: dict[str, object] = {
        "cores": spec.cores,
        "memory": spec.memory,
        # kubelet would have to account for memory that the host takes back.
        "balloon": 0,
        "net0": f"virtio={spec.mac},bridge={spec.bridge}{_vlan(spec)}",
        "ide2": f"{seed},media=cdrom",
        "agent": "enabled=1",
        "onboot": 1,
    }
    if spec.pci:
        found["machine"] = "q35"  # the machine type with PCI Express
    for number, mapping in enumerate(spec.pci):
        found[f"hostpci{number}"] = f"mapping={mapping},pcie=1"
    return found


def container_options(spec: ProxmoxSpec, pool: str) -> dict[str, object]:
    """Options of a new container, whose disk is in `pool`."""
    size = DISK if spec.disk is None else -(-spec.disk >> 10)
    bridge = f"bridge={spec.bridge},hwaddr={spec.mac},type=veth{_vlan(spec)}"
    found: dict[str, object] = {
        "rootfs": f"{pool}:{size}",
        "net0": f"name=eth0,{bridge}",
        # A node sets its name, its address and its resolver itself.
        "ostype": "unmanaged",
        "unprivileged": 0 if spec.privileged else 1,
        "onboot": 1,
        "swap": 0,
        "memory": spec.memory,
    }
    return found if spec.cores is None else {**found, "cores": spec.cores}


def _vlan(spec: ProxmoxSpec) -> str:
    return "" if spec.vlan is None else f",tag={spec.vlan}"
