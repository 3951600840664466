"""VMs: making them, reading and changing their configuration."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Any
from urllib.parse import unquote

from tests.fake_pve import disks, guests, schema
from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest
from tests.fake_pve.tasks import Task

# Not options of a config: they say how it is made or changed.
CONTROL = (
    "archive", "background_delay", "bwlimit", "delete", "digest", "force", "ha-managed",
    "import-working-storage", "live-restore", "pool", "revert", "skiplock", "start", "storage",
    "unique",
)  # fmt: skip
# What a running VM takes only at its next start.
COLD = re.compile(r"cores|sockets|cpu|memory|numa\d*|machine|bios|scsihw|hostpci\d+|ostype|arch")


@route("POST /nodes/{node}/qemu")
def create(call: Call) -> str:
    """A VM; its disks are made by the task, and if that fails it is gone again."""
    vmid = call.params["vmid"]
    guests.check_create(call, vmid)
    guests.check_new(call, vmid)
    options = call.rest(*CONTROL)
    if "cdrom" in options:
        options["ide2"] = f"{options.pop('cdrom')},media=cdrom"
    if call.params.get("start"):
        call.who.check(f"/vms/{vmid}", "VM.PowerMgmt")
    _check(call, vmid, options, new=True)
    guests.join_pool(call, vmid)
    guest = Guest(vmid, call.node, "qemu", {"lock": "create"})
    call.cluster.guests[vmid] = guest

    def work(task: Task) -> None:
        try:
            with call.pve.lock:
                _apply(call, guest, options)
                guest.config.setdefault("vmgenid", str(uuid.uuid4()))
                guest.config.setdefault("smbios1", f"uuid={uuid.uuid4()}")
                guest.config.pop("lock", None)
        except ApiError:
            with call.pve.lock:
                disks.remove(call, guest)
                guests.forget(call, guest)
            raise
        if call.params.get("start"):
            from tests.fake_pve.qemu import boot

            boot(call, guest)

    return call.task("qmcreate", work)


@route("GET /nodes/{node}/qemu/{vmid}/config")
def config(call: Call) -> dict[str, Any]:
    """Its options; with changes that wait for a start, unless `current` is said."""
    guest = call.guest("qemu")
    shown = dict(guest.config)
    if not call.params.get("current"):
        shown.update(guest.pending)
        shown = {key: value for key, value in shown.items() if value is not None}
    if "cipassword" in shown:
        shown["cipassword"] = "**********"
    return {**shown, "digest": guest.digest}


@route("GET /nodes/{node}/qemu/{vmid}/pending")
def pending(call: Call) -> list[dict[str, Any]]:
    """Each option with its value and what will replace it."""
    guest = call.guest("qemu")
    found = []
    for key in sorted({*guest.config, *guest.pending}):
        entry: dict[str, Any] = {"key": key}
        if key in guest.config:
            entry["value"] = guest.config[key]
        if key in guest.pending:
            change = guest.pending[key]
            entry.update({"delete": 1} if change is None else {"pending": change})
        found.append(entry)
    return found


@route("PUT /nodes/{node}/qemu/{vmid}/config")
def change(call: Call) -> None:
    """Change options at once."""
    _change(call, call.guest("qemu"))


@route("POST /nodes/{node}/qemu/{vmid}/config")
def change_later(call: Call) -> str:
    """Change options in a task; what is wrong with them is still answered at once."""
    guest = call.guest("qemu")
    guest.check_lock()
    guests.check_digest(guest, call.params.get("digest"))
    _check(call, guest.vmid, call.rest(*CONTROL))

    def work(task: Task) -> None:
        with call.pve.lock:
            _change(call, guest)

    return call.task("qmconfig", work)


def _change(call: Call, guest: Guest) -> None:
    if not call.params.get("skiplock"):
        guest.check_lock()
    guests.check_digest(guest, call.params.get("digest"))
    options = call.rest(*CONTROL)
    gone = [key for key in re.split(r"[\0,; ]+", call.params.get("delete", "")) if key]
    if not options and not gone and "revert" not in call.params:
        raise ApiError(500, "no options specified")
    known = schema.endpoints()["/nodes/{node}/qemu/{vmid}/config"]["PUT"].properties
    for key in gone:
        if key in options:
            problem = f"you can't use '-{key}' and -delete {key}' at the same time"
            raise bad_parameters({"delete": problem})
        if schema.rule_of(key, known) is None:
            raise bad_parameters({"delete": f"unknown option '{key}'"})
    _check(call, guest.vmid, options)
    guests.check_options(call, f"/vms/{guest.vmid}", dict.fromkeys(gone, ""))
    for key in re.split(r"[\0,; ]+", call.params.get("revert", "")):
        guest.pending.pop(key, None)
    for key in gone:
        if guest.running and COLD.fullmatch(key):
            guest.pending[key] = None
        else:
            _unplug(call, guest, key)
    cold = {key: options.pop(key) for key in list(options) if COLD.fullmatch(key)}
    if guest.running:
        guest.pending.update(cold)
        cold = {}
    _apply(call, guest, {**options, **cold})


def _unplug(call: Call, guest: Guest, key: str) -> None:
    value = guest.config.pop(key, None)
    if value is None or not disks.DRIVE.fullmatch(key):
        return
    file, options = disks.parse(str(value))
    if options.get("media") == "cdrom" or file == "none":
        return
    number = next(n for n in range(256) if f"unused{n}" not in guest.config)
    guest.config[f"unused{number}"] = file


def _check(call: Call, vmid: int, options: dict[str, Any], new: bool = False) -> None:
    for key, value in options.items():
        if disks.DRIVE.fullmatch(key):
            disks.check(call, vmid, key, str(value))
        elif key.startswith("hostpci"):
            _check_pci(key, str(value))
        elif key == "cicustom":
            _check_snippets(call, vmid, str(value))
        elif key == "sshkeys":
            _check_keys(unquote(str(value)))
    guests.check_options(call, f"/vms/{vmid}", options, new)


def _check_pci(key: str, value: str) -> None:
    file, options = disks.parse(value)
    if bool(file or options.get("host")) == ("mapping" in options):
        raise bad_parameters({key: "Either 'host' or 'mapping' must be set."})


def _check_snippets(call: Call, vmid: int, value: str) -> None:
    for volid in disks.parse(value)[1].values():
        if not volid.partition(":")[2].startswith("snippets/"):
            raise RefusedError(
                f"unable to use volume {volid} - content type needs to be 'snippets'"
            )
        storage = call.cluster.storage(volid.partition(":")[0])
        if "snippets" not in storage.content:
            raise RefusedError(f"storage '{storage.name}' does not support content-type 'snippets'")
        call.who.check(f"/storage/{storage.name}", "Datastore.Allocate")


def _check_keys(text: str) -> None:
    for line in filter(None, (line.strip() for line in text.splitlines())):
        kind, _, blob = line.partition(" ")
        try:
            raw = base64.b64decode(blob.partition(" ")[0], validate=True)
        except binascii.Error:
            raw = b""
        if not line.startswith("#") and raw[4 : 4 + len(kind)] != kind.encode():
            raise RefusedError("SSH public key validation error")


def _apply(call: Call, guest: Guest, options: dict[str, Any]) -> None:
    for key, value in options.items():
        if disks.DRIVE.fullmatch(key):
            guest.config[key] = disks.allocate(call, guest, str(value))
        elif re.fullmatch(r"net\d+", key):
            guest.config[key] = guests.network("qemu", str(value))
        elif key == "tags":
            guest.config[key] = guests.tags(value)
        elif key == "cipassword":
            guest.config[key] = "$5$fake$" + str(len(value))
        else:
            guest.config[key] = value
        if guest.config[key] == "":
            del guest.config[key]
