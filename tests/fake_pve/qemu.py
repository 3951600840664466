"""VMs: lists, state and power."""

from __future__ import annotations

import time
from typing import Any

from tests.fake_pve import disks, guests
from tests.fake_pve.errors import RefusedError
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest
from tests.fake_pve.tasks import Task


@route("GET /nodes/{node}/qemu")
def listed(call: Call) -> list[dict[str, Any]]:
    """The VMs of a node that the caller may see."""
    found = [one for one in call.cluster.guests.values() if one.kind == "qemu"]
    return [
        describe(one) for one in found if one.node == call.node and guests.may_see(call.who, one)
    ]


def describe(guest: Guest) -> dict[str, Any]:
    """The fields of a guest in lists and in `status/current`."""
    memory = str(guest.config.get("memory", 512)).removeprefix("current=").partition(",")[0]
    shown: dict[str, Any] = {
        "vmid": guest.vmid, "name": guest.name, "status": guest.status,
        "cpus": int(guest.config.get("cores", 1)) * int(guest.config.get("sockets", 1)),
        "maxmem": int(memory) * 1024**2, "mem": 0, "cpu": 0, "disk": 0, "maxdisk": _disk(guest),
        "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0,
        "uptime": int(time.monotonic() - guest.started) if guest.running else 0,
    }  # fmt: skip
    if guest.running:
        shown["pid"] = 100_000 + guest.vmid
    if guest.template:
        shown["template"] = 1
    for key in ("tags", "lock"):
        if guest.config.get(key):
            shown[key] = guest.config[key]
    return shown


def _disk(guest: Guest) -> int:
    first = guest.config.get("scsi0") or guest.config.get("virtio0") or guest.config.get("rootfs")
    size = disks.parse(str(first))[1].get("size") if first else None
    return disks.size_bytes(size) if size else 0


@route("GET /nodes/{node}/qemu/{vmid}/status/current")
def current(call: Call) -> dict[str, Any]:
    """Its state now."""
    guest = call.guest("qemu")
    more: dict[str, Any] = {"qmpstatus": guest.status, "ha": {"managed": 0}}
    if agent_enabled(guest):
        more["agent"] = 1
    return {**describe(guest), **more}


def agent_enabled(guest: Guest) -> bool:
    """Whether its config says that it has an agent."""
    first, *rest = str(guest.config.get("agent", "0")).split(",")
    return first in {"1", "enabled=1"} or "enabled=1" in rest


@route("POST /nodes/{node}/qemu/{vmid}/status/start")
def start(call: Call) -> str:
    """Start it; the task reports most errors."""
    guest = call.guest("qemu")
    if not call.params.get("skiplock"):
        guest.check_lock()

    def work(task: Task) -> None:
        boot(call, guest)

    return call.task("qmstart", work)


def boot(call: Call, guest: Guest) -> None:
    """Start a VM within a task."""
    with call.pve.lock:
        if guest.running:
            raise RefusedError(f"VM {guest.vmid} already running")
        guest.check_lock()
        if guest.template:
            raise RefusedError("you can't start a vm if it's a template")
        for key, value in guest.pending.items():
            guest.config.pop(key, None)
            guest.config.update({} if value is None else {key: value})
        guest.pending.clear()
        _check_boot(call, guest)
    if call.pve.on_start:
        call.pve.on_start(guest)
    with call.pve.lock:
        guest.status, guest.started = "running", time.monotonic()


def _check_boot(call: Call, guest: Guest) -> None:
    q35 = "q35" in str(guest.config.get("machine", ""))
    for key, value in guest.config.items():
        file, options = disks.parse(str(value))
        if key.startswith("hostpci"):
            if options.get("pcie") == "1" and not q35:
                raise RefusedError("q35 machine model is not enabled")
            _check_device(call, guest, options.get("mapping"))
        elif key.startswith("net") and options.get("bridge", "vmbr0") not in call.cluster.bridges:
            raise RefusedError(f"bridge '{options['bridge']}' does not exist")
        elif key == "cicustom":
            for volid in options.values():
                call.cluster.volume(volid)
        elif disks.DRIVE.fullmatch(key) and file != "none":
            call.cluster.volume(file)


def _check_device(call: Call, guest: Guest, mapping: str | None) -> None:
    if mapping is None:
        return
    known = call.cluster.pci.get(mapping)
    if known is None:
        raise RefusedError(f"PCI device mapping not found for '{mapping}'")
    here = [one for one in known["map"] if f"node={guest.node}" in one.split(",")]
    if not here:
        raise RefusedError(f"PCI device mapping not found for '{mapping}' on node '{guest.node}'")
    users = [
        other for other in call.cluster.guests.values()
        if other is not guest and other.running and other.node == guest.node
        and any(f"mapping={mapping}" in str(value).split(",") for value in other.config.values())
    ]  # fmt: skip
    if len(users) >= len(here):
        raise RefusedError(
            f"PCI device for mapping '{mapping}' already in use by VMID '{users[0].vmid}'"
        )


@route("POST /nodes/{node}/qemu/{vmid}/status/stop")
def stop(call: Call) -> str:
    """Stop it hard; one that is stopped is no error."""
    return _stop(call, "qmstop")


@route("POST /nodes/{node}/qemu/{vmid}/status/shutdown")
def shutdown(call: Call) -> str:
    """Ask it to stop."""
    return _stop(call, "qmshutdown")


@route("POST /nodes/{node}/qemu/{vmid}/status/reboot")
def restart(call: Call) -> str:
    """Start it again."""
    guest = call.guest("qemu")
    guest.check_lock()
    if not guest.running:
        raise RefusedError(f"VM {guest.vmid} not running")

    def work(task: Task) -> None:
        halt(call, guest)
        boot(call, guest)

    return call.task("qmreboot", work)


def _stop(call: Call, kind: str) -> str:
    guest = call.guest("qemu")
    if not call.params.get("skiplock"):
        guest.check_lock()

    def work(task: Task) -> None:
        halt(call, guest)

    return call.task(kind, work)


def halt(call: Call, guest: Guest) -> None:
    was = guest.running
    if was and call.pve.on_stop:
        call.pve.on_stop(guest)
    with call.pve.lock:
        guest.status = "stopped"
        guest.execs.clear()
