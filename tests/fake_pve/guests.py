"""Common parts of VMs and containers: numbers, tags, network cards, permissions of options."""

from __future__ import annotations

import re
import secrets
from typing import Any

from tests.fake_pve.access import Identity
from tests.fake_pve.disks import DRIVE
from tests.fake_pve.errors import ApiError, RefusedError
from tests.fake_pve.routing import Call
from tests.fake_pve.state import Guest

OPTION_PRIVILEGES = (
    (r"cores|sockets|cpu|cpulimit|cpuunits|numa\d*|vcpus|smp|affinity", "VM.Config.CPU"),
    (r"memory|balloon|shares|allow-ksm|hugepages|keephugepages|swap", "VM.Config.Memory"),
    (r"net\d+|hostname", "VM.Config.Network"),
    (r"ci\w+|ipconfig\d+|sshkeys|nameserver|searchdomain", "VM.Config.Cloudinit VM.Config.Network"),
    (r"boot|bootdisk|vmstatestorage|unused\d+", "VM.Config.Disk"),
    (
        r"acpi|hotplug|kvm|machine|scsihw|smbios1|tablet|vga|watchdog|audio0|rng0"
        r"|(serial|hostpci|usb)\d+",
        "VM.Config.HWType",
    ),
)
ROOT_ONLY = {"args", "hookscript", "lock"}


def new_mac() -> str:
    """A MAC with the prefix that PVE gives its guests."""
    return "BC:24:11:" + ":".join(f"{byte:02X}" for byte in secrets.token_bytes(3))


def network(kind: str, value: str) -> str:
    """A network card as it is stored: the model with its MAC first, a MAC made if there is none."""
    pairs = [part.partition("=")[::2] for part in value.split(",")]
    if kind == "lxc":
        if not any(key == "hwaddr" for key, _ in pairs):
            pairs.insert(2, ("hwaddr", new_mac()))
        return ",".join(f"{key}={text}" for key, text in pairs)
    options = dict(pairs)
    mac = options.pop("macaddr", "")
    model = options.pop("model", "") or next(key for key, _ in pairs if key not in {"macaddr"})
    mac = options.pop(model, "") or mac or new_mac()
    return ",".join([f"{model}={mac.upper()}", *(f"{k}={text}" for k, text in options.items())])


def fresh_macs(guest: Guest) -> None:
    """Give every card of a clone a MAC of its own."""
    key = "hwaddr" if guest.kind == "lxc" else r"[a-z][\w-]*"
    for name, value in guest.config.items():
        if re.fullmatch(r"net\d+", name):
            pattern = rf"(^|,)({key})=([0-9A-Fa-f]{{2}}:){{5}}[0-9A-Fa-f]{{2}}"
            guest.config[name] = re.sub(pattern, rf"\g<1>\g<2>={new_mac()}", str(value))


def tags(value: str) -> str:
    """Tags as they are stored: lower case, each once, in ASCII order, between semicolons."""
    return ";".join(sorted({tag.lower() for tag in re.split(r"[\0,; ]+", value) if tag}))


def check_options(call: Call, about: str, options: dict[str, Any], new: bool = False) -> None:
    """Check the privileges that each option of a config needs.

    A `new` guest's disks need only those of their storage.
    """
    if call.who.name == "root@pam":
        return
    for name, value in options.items():
        text = str(value)
        if name in ROOT_ONLY:
            raise RefusedError(f"only root can set '{name}' config")
        if DRIVE.fullmatch(name):
            cdrom = "media=cdrom" in text or text.endswith(":cloudinit") or text == "none"
            if not new:
                call.who.check(about, "VM.Config.CDROM" if cdrom else "VM.Config.Disk")
            continue
        found = (right for pattern, right in OPTION_PRIVILEGES if re.fullmatch(pattern, name))
        call.who.check(about, *next(found, "VM.Config.Options").split(), some=True)
        if name == "startup":
            call.who.check("/", "Sys.Modify")
        check_links(call, name, text)


def check_links(call: Call, name: str, text: str) -> None:
    """Check the privileges of what an option points to: bridges, PCI mappings."""
    bridge = re.search(r"(?:^|,)bridge=([^,]+)", text)
    if re.fullmatch(r"net\d+", name) and bridge:
        tag = re.search(r"(?:^|,)tag=(\d+)", text)
        zone = f"/sdn/zones/localnetwork/{bridge[1]}"
        call.who.check(f"{zone}/{tag[1]}" if tag else zone, "SDN.Use")
    if re.fullmatch(r"hostpci\d+", name):
        mapping = re.search(r"(?:^|,)mapping=([^,]+)", text)
        if mapping:
            call.who.check(f"/mapping/pci/{mapping[1]}", "Mapping.Use")
        elif call.who.name != "root@pam":
            raise RefusedError(f"only root can set '{name}' config for non-mapped devices")


def check_new(call: Call, vmid: int, clone: bool = False) -> None:
    """Refuse a number that is taken."""
    other = call.cluster.guests.get(vmid)
    if other and clone:
        raise RefusedError(f"unable to create VM {vmid}: config file already exists")
    if other:
        word = "VM" if other.kind == "qemu" else "CT"
        raise RefusedError(
            f"unable to create VM {vmid} - {word} {vmid} already exists on node '{other.node}'"
        )


def join_pool(call: Call, vmid: int) -> None:
    """Put a new guest in the pool that the request names."""
    pool = call.params.get("pool")
    if pool is None:
        return
    if pool not in call.cluster.pools:
        raise ApiError(403, f"Permission check failed (pool '{pool}' does not exist)")
    call.cluster.pools[pool].add(vmid)


def check_create(call: Call, vmid: int) -> None:
    """The creation of a guest needs VM.Allocate on its number or on its pool."""
    pool = call.params.get("pool")
    if pool is None or not call.who.may(f"/pool/{pool}", ["VM.Allocate"]):
        call.who.check(f"/vms/{vmid}", "VM.Allocate")


def check_digest(guest: Guest, digest: str | None) -> None:
    """Refuse a change of a config that has changed since it was read."""
    if digest and digest != guest.digest:
        if guest.kind == "qemu":
            raise RefusedError("checksum mismatch (file change by other user?)")
        words = "detected modified configuration - file changed by other user?"
        raise RefusedError(f"{words} Try again.")


def forget(call: Call, guest: Guest) -> None:
    """Take a guest off the cluster."""
    call.cluster.guests.pop(guest.vmid, None)
    for members in call.cluster.pools.values():
        members.discard(guest.vmid)


def may_see(who: Identity, guest: Guest) -> bool:
    """Whether a list shows it to this user."""
    return who.may(f"/vms/{guest.vmid}", ["VM.Audit"])
