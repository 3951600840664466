"""VMs: clones, templates, resizing, and the end of one."""

from __future__ import annotations

import uuid

from tests.fake_pve import disks, guests
from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Guest
from tests.fake_pve.tasks import Task, Work


@route("POST /nodes/{node}/qemu/{vmid}/clone")
def clone(call: Call) -> str:
    """A copy, or (of a template) a layer over its disks; the source is busy until the task ends."""
    source, vmid = call.guest("qemu"), call.params["newid"]
    source.check_lock()
    full = bool(call.params.get("full", 0 if source.template else 1))
    for which in ("storage", "format"):
        if not full and which in call.params:
            raise RefusedError(f"parameter '{which}' not allowed for linked clones")
    if source.clones and call.pve.busy_source in {"locked", "lockfile"}:
        raise RefusedError(
            "VM is locked (clone)" if call.pve.busy_source == "locked" else _timeout(source)
        )
    check_target(call, source)
    _check_links(call, source)
    _check_linked(source, full)
    guests.check_new(call, vmid, clone=True)
    guests.join_pool(call, vmid)
    if source.clones and call.pve.busy_source == "task":
        late = RefusedError(_timeout(source))
        return call.task("qmclone", lambda task: _fail(late))
    copy = Guest(vmid, call.node, "qemu", {"lock": "clone"})
    call.cluster.guests[vmid] = copy
    source.clones += 1
    work: Work = lambda task: _copy(call, source, copy, full)  # noqa: E731
    return call.task("qmclone", work, call.pve.clone_seconds)


def _fail(error: RefusedError) -> None:
    raise error


def _timeout(source: Guest) -> str:
    return f"can't lock file '/var/lock/qemu-server/lock-{source.vmid}.conf' - got timeout"


def check_target(call: Call, source: Guest) -> None:
    """Refuse clones to where the disks are not, and those onto storages that take none."""
    used = {volume.volid.partition(":")[0] for volume in disks.owned(call, source.vmid)}
    target, local = call.params.get("target", call.node), call.node
    if target not in call.cluster.nodes:
        raise RefusedError(f"no such cluster node '{target}'")
    wanted = "images" if source.kind == "qemu" else "rootdir"
    if "storage" in call.params:
        storage = call.cluster.storage(call.params["storage"])
        if wanted not in storage.content:
            raise bad_parameters(
                {"storage": f"storage '{storage.name}' does not support vm images"}
            )
        if target != local and not storage.shared:
            raise RefusedError(f"can't clone to non-shared storage '{storage.name}'")
    for name in {call.params["storage"]} if "storage" in call.params else used:
        call.who.check(f"/storage/{name}", "Datastore.AllocateSpace")
    if target != local and not all(call.cluster.storages[name].shared for name in used):
        raise RefusedError(f"can't clone VM to node '{target}' (VM uses local storage)")


def _check_links(call: Call, source: Guest) -> None:
    for name, value in source.config.items():
        guests.check_links(call, name, str(value))


def _check_linked(source: Guest, full: bool) -> None:
    for key, value in source.config.items():
        file, options = disks.parse(str(value))
        disk = disks.DRIVE.fullmatch(key) and options.get("media") != "cdrom" and file != "none"
        if disk and not full and not source.template:
            raise RefusedError(f"Linked clone feature is not supported for '{file}' ({key})")


def _copy(call: Call, source: Guest, copy: Guest, full: bool) -> None:
    try:
        with call.pve.lock:
            left = {"template", "lock", "parent", "smbios1"}
            kept = {k: v for k, v in source.config.items() if k not in left}
            copy.config.update({k: v for k, v in kept.items() if not k.startswith("unused")})
            disks.copy(call, source, copy, full, call.params.get("storage"))
            guests.fresh_macs(copy)
            name = source.config.get("name", source.vmid)
            copy.config["name"] = call.params.get("name", f"Copy-of-VM-{name}")
            if "vmgenid" in copy.config:
                copy.config["vmgenid"] = str(uuid.uuid4())
            copy.config["smbios1"] = f"uuid={uuid.uuid4()}"
            if "description" in call.params:
                copy.config["description"] = call.params["description"]
            copy.config.pop("lock", None)
            copy.node = call.params.get("target", call.node)
    except ApiError as error:
        with call.pve.lock:
            disks.remove(call, copy)
            guests.forget(call, copy)
        raise RefusedError(f"clone failed: {error.reason}") from error
    finally:
        with call.pve.lock:
            source.clones -= 1


@route("POST /nodes/{node}/qemu/{vmid}/template")
def template(call: Call) -> str:
    """Make it a template: its disks become base volumes and it can never start again."""
    guest = call.guest("qemu")
    guest.check_lock()
    if guest.template:
        raise RefusedError("you can't convert a template to a template")
    if guest.running:
        raise RefusedError("you can't convert a VM to template if VM is running")

    def work(task: Task) -> None:
        with call.pve.lock:
            disks.to_base(call, guest)
            guest.config["template"] = 1

    return call.task("qmtemplate", work)


@route("PUT /nodes/{node}/qemu/{vmid}/resize")
def resize(call: Call) -> str:
    """Let a disk grow, to a size or by one (`+8G`)."""
    guest, disk, text = call.guest("qemu"), call.params["disk"], call.params["size"]
    guest.check_lock()
    guests.check_digest(guest, call.params.get("digest"))
    if disk not in guest.config:
        raise RefusedError(f"disk '{disk}' does not exist")
    file, options = disks.parse(str(guest.config[disk]))
    volume = call.cluster.volume(file)
    wanted = disks.size_bytes(text.removeprefix("+")) + (volume.size if text[0] == "+" else 0)
    if wanted < volume.size:
        raise RefusedError("shrinking disks is not supported")

    def work(task: Task) -> None:
        with call.pve.lock:
            volume.size = wanted
            guest.config[disk] = disks.show(file, {**options, "size": disks.size_text(wanted)})

    return call.task("resize", work)


@route("DELETE /nodes/{node}/qemu/{vmid}")
def destroy(call: Call) -> str:
    """Its end, with all its disks."""
    guest = call.guest("qemu")
    _check_end(guest)

    def work(task: Task) -> None:
        with call.pve.lock:
            _check_end(guest)
            if not call.params.get("skiplock"):
                guest.check_lock()
            disks.check_unused(call, guest)
            disks.remove(call, guest)
            guests.forget(call, guest)

    return call.task("qmdestroy", work)


def _check_end(guest: Guest) -> None:
    if guest.config.get("protection"):
        raise RefusedError(f"can't remove VM {guest.vmid} - protection mode enabled")
    if guest.running:
        raise RefusedError(f"VM {guest.vmid} is running - destroy failed")
