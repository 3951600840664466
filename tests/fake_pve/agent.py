"""The guest agent of a VM: silent for a while after a start, then it answers."""

from __future__ import annotations

import base64
import binascii
import re
import time
from ipaddress import ip_interface
from typing import Any

from tests.fake_pve.errors import RefusedError, bad_parameters
from tests.fake_pve.qemu import agent_enabled
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest


def _agent(call: Call) -> Guest:
    guest = call.guest("qemu")
    if not agent_enabled(guest):
        raise RefusedError("No QEMU guest agent configured")
    if not guest.running:
        raise RefusedError(f"VM {guest.vmid} is not running")
    if time.monotonic() - guest.started < call.pve.agent_seconds:
        raise RefusedError("QEMU guest agent is not running")
    return guest


@route("POST /nodes/{node}/qemu/{vmid}/agent/ping")
def ping(call: Call) -> dict[str, Any]:
    """Whether it answers."""
    _agent(call)
    return {"result": {}}


@route("GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces")
def interfaces(call: Call) -> dict[str, Any]:
    """Its interfaces with their addresses: those of the hook, or those of `ipconfig0`."""
    guest = _agent(call)
    addresses = call.pve.agent_addresses(guest) if call.pve.agent_addresses else _static(guest)
    loopback = _interface("lo", "00:00:00:00:00:00", ["127.0.0.1/8", "::1/128"])
    mac = re.search(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", str(guest.config.get("net0", "")))
    if mac is None:
        return {"result": [loopback]}
    return {"result": [loopback, _interface("eth0", mac[0].lower(), list(addresses))]}


def _static(guest: Guest) -> list[str]:
    parts = str(guest.config.get("ipconfig0", "")).split(",")
    found = [part.partition("=")[2] for part in parts if re.match(r"ip6?=", part)]
    return [address for address in found if "/" in address]


def _interface(name: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    parsed = [ip_interface(address) for address in addresses]
    listed = [
        {
            "ip-address": str(one.ip),
            "ip-address-type": f"ipv{one.version}",
            "prefix": one.network.prefixlen,
        }
        for one in parsed
    ]
    return {"name": name, "hardware-address": mac, "ip-addresses": listed}


@route("POST /nodes/{node}/qemu/{vmid}/agent/exec")
def execute(call: Call) -> dict[str, Any]:
    """Run a command through the hook `on_exec`; without one it succeeds and prints nothing."""
    guest = _agent(call)
    given = call.params.get("input-data", "")
    run = call.pve.on_exec or (lambda guest, command, given: (0, "", ""))
    code, out, err = run(guest, call.params["command"], given)
    call.pve.pids += 1
    done: dict[str, Any] = {"exited": 1, "exitcode": code}
    done.update({"out-data": out} if out else {})
    done.update({"err-data": err} if err else {})
    guest.execs[call.pve.pids] = done
    return {"pid": call.pve.pids}


@route("GET /nodes/{node}/qemu/{vmid}/agent/exec-status")
def executed(call: Call) -> dict[str, Any]:
    """The result of a command. The agent returns it only once."""
    guest = _agent(call)
    pid = call.params["pid"]
    if pid not in guest.execs:
        raise RefusedError(f"Agent error: PID {pid} does not exist")
    return guest.execs.pop(pid)


@route("POST /nodes/{node}/qemu/{vmid}/agent/file-write")
def write(call: Call) -> None:
    """Write a file; `encode` 0 says that the content is base64 already."""
    guest = _agent(call)
    content = call.params["content"].encode()
    if not call.params.get("encode", 1):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error:
            raise bad_parameters({"content": "not base64"}) from None
    guest.files[call.params["file"]] = content


@route("GET /nodes/{node}/qemu/{vmid}/agent/file-read")
def read(call: Call) -> dict[str, Any]:
    """Read a file that was written."""
    guest = _agent(call)
    file = call.params["file"]
    if file not in guest.files:
        raise RefusedError(
            f"Agent error: failed to open file '{file}' (mode: 'r'): No such file or directory"
        )
    return {
        "content": guest.files[file].decode("utf-8", "replace"),
        "bytes-read": len(guest.files[file]),
    }
