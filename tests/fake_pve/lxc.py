"""Containers: lists, power, clones, templates, the end of one."""

from __future__ import annotations

import time
from ipaddress import ip_interface
from typing import Any

from tests.fake_pve import disks, guests
from tests.fake_pve.errors import ApiError, RefusedError
from tests.fake_pve.qemu import describe, halt
from tests.fake_pve.qemu_copy import check_target
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest
from tests.fake_pve.tasks import Task


@route("GET /nodes/{node}/lxc")
def listed(call: Call) -> list[dict[str, Any]]:
    """The containers of a node that the caller may see."""
    found = [one for one in call.cluster.guests.values() if one.kind == "lxc"]
    return [
        describe(one) for one in found if one.node == call.node and guests.may_see(call.who, one)
    ]


@route("GET /nodes/{node}/lxc/{vmid}/status/current")
def current(call: Call) -> dict[str, Any]:
    """Its state now."""
    return {**describe(call.guest("lxc")), "type": "lxc", "ha": {"managed": 0}}


@route("GET /nodes/{node}/lxc/{vmid}/interfaces")
def interfaces(call: Call) -> list[dict[str, Any]]:
    """Its interfaces with their addresses: those of the hook, or those of its config."""
    guest = call.guest("lxc")
    if not guest.running:
        return []
    options = disks.parse(str(guest.config.get("net0", "")))[1]
    hook, fixed = call.pve.agent_addresses, options.get("ip", "")
    addresses = list(hook(guest)) if hook else [fixed] if "/" in fixed else []
    card = _interface(options.get("name", "eth0"), options.get("hwaddr", ""), addresses)
    return [_interface("lo", "00:00:00:00:00:00", ["127.0.0.1/8", "::1/128"]), card]


def _interface(name: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    parsed = [ip_interface(address) for address in addresses]
    shown: dict[str, Any] = {"name": name, "hwaddr": mac.lower(), "hardware-address": mac.lower()}
    shown["ip-addresses"] = [
        {
            "ip-address": str(one.ip),
            "ip-address-type": "inet" if one.version == 4 else "inet6",
            "prefix": one.network.prefixlen,
        }
        for one in parsed
    ]
    for one in reversed(parsed):
        shown["inet" if one.version == 4 else "inet6"] = one.with_prefixlen
    return shown


@route("POST /nodes/{node}/lxc/{vmid}/status/start")
def start(call: Call) -> str:
    """Start it."""
    guest = call.guest("lxc")
    guest.check_lock()
    if guest.running:
        raise RefusedError(f"CT {guest.vmid} already running")

    def work(task: Task) -> None:
        boot(call, guest)

    return call.task("vzstart", work)


def boot(call: Call, guest: Guest) -> None:
    """Start a container within a task."""
    with call.pve.lock:
        if guest.template:
            raise RefusedError("you can't start a CT if it's a template")
        for key, value in guest.config.items():
            bridge = disks.parse(str(value))[1].get("bridge", "vmbr0")
            if key.startswith("net") and bridge not in call.cluster.bridges:
                raise RefusedError(f"bridge '{bridge}' does not exist")
    if call.pve.on_start:
        call.pve.on_start(guest)
    with call.pve.lock:
        guest.status, guest.started = "running", time.monotonic()


@route("POST /nodes/{node}/lxc/{vmid}/status/stop")
def stop(call: Call) -> str:
    """Stop it hard."""
    return _stop(call, "vzstop")


@route("POST /nodes/{node}/lxc/{vmid}/status/shutdown")
def shutdown(call: Call) -> str:
    """Ask it to stop."""
    return _stop(call, "vzshutdown")


def _stop(call: Call, kind: str) -> str:
    guest = call.guest("lxc")
    if not call.params.get("skiplock"):
        guest.check_lock()
    if not guest.running:
        raise RefusedError(f"CT {guest.vmid} not running")

    def work(task: Task) -> None:
        halt(call, guest)

    return call.task(kind, work)


@route("POST /nodes/{node}/lxc/{vmid}/template")
def template(call: Call) -> None:
    """Make it a template."""
    guest = call.guest("lxc")
    guest.check_lock()
    if guest.template:
        raise RefusedError("you can't convert a template to a template")
    if guest.running:
        raise RefusedError("you can't convert a CT to template if the CT is running")
    disks.to_base(call, guest)
    guest.config["template"] = 1


@route("POST /nodes/{node}/lxc/{vmid}/clone")
def clone(call: Call) -> str:
    """A copy, or (of a template) a layer over its volumes; the source is locked meanwhile."""
    source, vmid = call.guest("lxc"), call.params["newid"]
    source.check_lock()
    full = bool(call.params.get("full", 0 if source.template else 1))
    if not full and "storage" in call.params:
        raise RefusedError("parameter 'storage' not allowed for linked clones")
    if full and source.running:
        raise RefusedError("Cannot do full clones on a running container without snapshots")
    check_target(call, source)
    if not full and not source.template:
        raise RefusedError("Linked clone feature is not supported for 'rootfs'")
    guests.check_new(call, vmid, clone=True)
    guests.join_pool(call, vmid)
    copy = Guest(vmid, call.node, "lxc", {"lock": "create"})
    call.cluster.guests[vmid] = copy
    if call.pve.busy_source != "allowed":
        source.config["lock"] = "disk"
    return call.task(
        "vzclone", lambda task: _copy(call, source, copy, full), call.pve.clone_seconds
    )


def _copy(call: Call, source: Guest, copy: Guest, full: bool) -> None:
    try:
        with call.pve.lock:
            left = {"template", "lock", "parent", "digest"}
            copy.config.update({k: v for k, v in source.config.items() if k not in left})
            disks.copy(call, source, copy, full, call.params.get("storage"))
            guests.fresh_macs(copy)
            copy.config["hostname"] = call.params.get("hostname", f"Copy-of-CT-{source.name}")
            if "description" in call.params:
                copy.config["description"] = call.params["description"]
            copy.config.pop("lock", None)
            copy.node = call.params.get("target", call.node)
    except ApiError:
        with call.pve.lock:
            disks.remove(call, copy)
            guests.forget(call, copy)
        raise
    finally:
        with call.pve.lock:
            source.config.pop("lock", None)


@route("DELETE /nodes/{node}/lxc/{vmid}")
def destroy(call: Call) -> str:
    """Its end, with all its volumes; `force` stops it first."""
    guest = call.guest("lxc")
    guest.check_lock()
    if guest.config.get("protection"):
        raise RefusedError(f"can't remove CT {guest.vmid} - protection mode enabled")
    if guest.running and not call.params.get("force"):
        raise RefusedError(f"unable to destroy CT {guest.vmid} - container is running")
    disks.check_unused(call, guest)

    def work(task: Task) -> None:
        if guest.running:
            halt(call, guest)
        with call.pve.lock:
            disks.remove(call, guest)
            guests.forget(call, guest)

    return call.task("vzdestroy", work)
