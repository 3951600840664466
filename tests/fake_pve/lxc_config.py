"""Containers: making them, reading and changing their configuration."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_pve import disks, guests
from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest
from tests.fake_pve.tasks import Task

# Not options of a config: they say how it is made or changed, or go into the container itself.
CONTROL = (
    "bwlimit", "delete", "digest", "force", "ha-managed", "ignore-unpack-errors", "ostemplate",
    "password", "pool", "restore", "revert", "ssh-public-keys", "start", "storage", "unique",
)  # fmt: skip


@route("POST /nodes/{node}/lxc")
def create(call: Call) -> str:
    """A container from a template archive."""
    vmid = call.params["vmid"]
    guests.check_create(call, vmid)
    guests.check_new(call, vmid)
    options = call.rest(*CONTROL)
    if "rootfs" not in options:
        if "storage" not in call.params:
            raise bad_parameters(
                {"storage": "storage 'local' does not support container directories"}
            )
        options["rootfs"] = f"{call.params['storage']}:4"
    archive = call.cluster.volume(call.params["ostemplate"])
    if archive.content != "vztmpl":
        raise RefusedError(f"unable to detect template type of '{archive.volid}'")
    if call.params.get("start"):
        call.who.check(f"/vms/{vmid}", "VM.PowerMgmt")
    disks.check_access(call, vmid, archive)
    _check(call, vmid, options, new=True)
    guests.join_pool(call, vmid)
    guest = Guest(vmid, call.node, "lxc", {"lock": "create"})
    call.cluster.guests[vmid] = guest

    def work(task: Task) -> None:
        try:
            with call.pve.lock:
                defaults = {"arch": "amd64", "hostname": f"CT{vmid}", "ostype": "debian",
                            "memory": 512, "swap": 512}  # fmt: skip
                _apply(call, guest, {**defaults, **options})
                if "ssh-public-keys" in call.params:
                    keys = call.params["ssh-public-keys"].encode()
                    guest.files["/root/.ssh/authorized_keys"] = keys
                guest.config.pop("lock", None)
        except ApiError:
            with call.pve.lock:
                disks.remove(call, guest)
                guests.forget(call, guest)
            raise
        if call.params.get("start"):
            from tests.fake_pve.lxc import boot

            boot(call, guest)

    return call.task("vzcreate", work)


@route("GET /nodes/{node}/lxc/{vmid}/config")
def config(call: Call) -> dict[str, Any]:
    """Its options."""
    guest = call.guest("lxc")
    return {**guest.config, "digest": guest.digest}


@route("PUT /nodes/{node}/lxc/{vmid}/config")
def change(call: Call) -> None:
    """Change options."""
    guest = call.guest("lxc")
    guest.check_lock()
    guests.check_digest(guest, call.params.get("digest"))
    options = call.rest(*CONTROL)
    gone = [key for key in re.split(r"[\0,; ]+", call.params.get("delete", "")) if key]
    if not options and not gone:
        raise RefusedError("no options specified")
    _check(call, guest.vmid, options)
    guests.check_options(call, f"/vms/{guest.vmid}", dict.fromkeys(gone, ""))
    for key in gone:
        guest.config.pop(key, None)
    _apply(call, guest, options)


@route("PUT /nodes/{node}/lxc/{vmid}/resize")
def resize(call: Call) -> str:
    """Let a volume grow, to a size or by one (`+8G`)."""
    guest, disk, text = call.guest("lxc"), call.params["disk"], call.params["size"]
    guest.check_lock()
    if disk not in guest.config:
        raise RefusedError(f"no such mount point '{disk}'")
    file, options = disks.parse(str(guest.config[disk]))
    volume = call.cluster.volume(file)
    wanted = disks.size_bytes(text.removeprefix("+")) + (volume.size if text[0] == "+" else 0)
    if wanted < volume.size:
        raise RefusedError("unable to shrink disk size")

    def work(task: Task) -> None:
        with call.pve.lock:
            volume.size = wanted
            guest.config[disk] = disks.show(file, {**options, "size": disks.size_text(wanted)})

    return call.task("resize", work)


def _check(call: Call, vmid: int, options: dict[str, Any], new: bool = False) -> None:
    guests.check_options(call, f"/vms/{vmid}", options, new)
    privileged = not options.get("unprivileged", 0)
    features = set(str(options.get("features", "")).split(",")) - {""}
    allowed = {"nesting=1", "nesting=0"}
    root = call.who.name == "root@pam"
    if new and privileged and not root:
        call.who.check("/", "Sys.Modify")  # since version 9
    if features and not root and (privileged or features - allowed):
        raise ApiError(403, "changing feature flags (except nesting) is only allowed for root@pam")
    for key, value in options.items():
        if not disks.DRIVE.fullmatch(key):
            continue
        if str(value).startswith("/") and not root:
            raise ApiError(403, f"mount point type bind is only allowed for root@pam ({key})")
        if not str(value).startswith("/"):
            disks.check(call, vmid, key, str(value))


def _apply(call: Call, guest: Guest, options: dict[str, Any]) -> None:
    for key, value in options.items():
        if disks.DRIVE.fullmatch(key) and not str(value).startswith("/"):
            guest.config[key] = disks.allocate(call, guest, str(value))
        elif re.fullmatch(r"net\d+", key):
            guest.config[key] = guests.network("lxc", str(value))
        elif key == "tags":
            guest.config[key] = guests.tags(value)
        else:
            guest.config[key] = value
