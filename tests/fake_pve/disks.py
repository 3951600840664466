"""Drives and mount points: from what a request asks for to a volume and a line of config."""

from __future__ import annotations

import re

from tests.fake_pve.errors import RefusedError, bad_parameters
from tests.fake_pve.routing import Call
from tests.fake_pve.state import GIB, Guest, Storage, Volume

DRIVE = re.compile(r"(ide|sata|scsi|virtio|efidisk|tpmstate)\d+|rootfs|mp\d+")
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": GIB, "T": 1024**4}
IMAGES = {"qcow2": "qcow2", "raw": "raw", "img": "raw", "vmdk": "vmdk"}


def parse(value: str) -> tuple[str, dict[str, str]]:
    """The volume of a drive and its options, in order."""
    file, options = "", {}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        if not equals:
            file = part
        elif key in {"file", "volume"}:
            file = text
        else:
            options[key] = text
    return file, options


def show(file: str, options: dict[str, str]) -> str:
    """The line of config for a volume and its options."""
    return ",".join([file, *(f"{key}={text}" for key, text in options.items())])


def size_text(size: int) -> str:
    """Bytes as PVE writes them: the largest unit that divides them."""
    for unit in ("T", "G", "M", "K"):
        if size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def size_bytes(text: str) -> int:
    """`20G` as bytes."""
    return int(float(text.rstrip("KMGT")) * UNITS[text[-1] if text[-1] in UNITS else ""])


def check(call: Call, guest: int, key: str, value: str) -> None:
    """Refuse, before any task, a drive of `guest` that cannot be."""
    file, options = parse(value)
    if file in {"none", "cdrom"}:
        return
    if file.startswith("/"):
        raise RefusedError("Only root can pass arbitrary filesystem paths.")
    storage = call.cluster.storage(file.partition(":")[0])
    source = options.get("import-from")
    if source and not file.endswith(":0"):
        problem = "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"
        raise bad_parameters({key: problem})
    if not _new(file):
        volume = call.cluster.volume(file)
        if volume.content == "iso" and options.get("media") != "cdrom":
            raise bad_parameters({key: "explicit 'media=cdrom' is required for iso images"})
        check_access(call, guest, volume)
        if volume.content not in {"images", "iso", "rootdir"}:
            raise bad_parameters({key: "content type needs to be 'images' or 'iso'"})
        return
    if file.endswith(":cloudinit"):
        return
    wanted = "rootdir" if key == "rootfs" or key.startswith("mp") else "images"
    call.who.check(f"/storage/{storage.name}", "Datastore.AllocateSpace")
    if wanted not in storage.content:
        kind = "vm images" if wanted == "images" else "container directories"
        raise bad_parameters({"storage": f"storage '{storage.name}' does not support {kind}"})
    if source:
        _check_source(call, guest, key, source)


def _check_source(call: Call, guest: int, key: str, source: str) -> None:
    if source.startswith("/"):
        raise RefusedError("Only root can pass arbitrary filesystem paths.")
    volume = call.cluster.volume(source)
    if volume.content not in {"images", "import"}:
        problem = f"{source} has wrong type '{volume.content}' - needs to be 'images' or 'import'"
        raise bad_parameters({key: problem})
    if volume.vmid is not None:
        call.who.check(f"/vms/{volume.vmid}", "VM.Clone")
    else:
        check_access(call, guest, volume)


def check_access(call: Call, guest: int, volume: Volume) -> None:
    """Refuse a user who may not read a volume for the sake of `guest`."""
    path = "/storage/" + volume.volid.partition(":")[0]
    if call.who.may(path, ["Datastore.Allocate"]) or volume.vmid == guest:
        return
    if volume.content in {"iso", "vztmpl", "import"}:
        call.who.check(path, "Datastore.AllocateSpace", "Datastore.Audit", some=True)
    else:
        call.who.check(path, "Datastore.Allocate")


def _new(file: str) -> bool:
    return bool(re.fullmatch(r"[^:]+:(\d+(\.\d+)?|cloudinit)", file))


def allocate(call: Call, guest: Guest, value: str) -> str:
    """Make the volume that a drive asks for, if it asks for one; gives the line of config."""
    file, options = parse(value)
    if file in {"none", "cdrom"}:
        return value
    if not _new(file):
        volume = call.cluster.volume(file)
        return show(file, {**options, "size": size_text(volume.size)})
    storage = call.cluster.storage(file.partition(":")[0])
    what = file.partition(":")[2]
    if what == "cloudinit":
        for key, known in guest.config.items():
            if DRIVE.fullmatch(key) and f"vm-{guest.vmid}-cloudinit" in str(known):
                raise RefusedError(f"cloud-init drive is already attached at '{key}'")
        volume = make(storage, guest, 4 * UNITS["M"], "qcow2", name=f"vm-{guest.vmid}-cloudinit")
        return show(volume.volid, {"media": "cdrom", "size": "4M"})
    source = options.pop("import-from", "")
    form = options.pop("format", "qcow2" if storage.files and guest.kind == "qemu" else "raw")
    size = call.cluster.volume(source).size if source else int(float(what) * GIB)
    volume = make(storage, guest, size, form)
    if source:
        volume.path = call.cluster.volume(source).path
    return show(volume.volid, {**options, "size": size_text(size)})


def make(
    storage: Storage, guest: Guest, size: int, form: str, name: str = "", parent: str | None = None
) -> Volume:
    """A new volume of a guest, named as this kind of storage does."""
    number = 0
    content = "images" if guest.kind == "qemu" else "rootdir"
    while True:
        plain = name or f"vm-{guest.vmid}-disk-{number}"
        file = f"{guest.vmid}/{plain}.{form}" if storage.files else plain
        if parent and (storage.files or storage.type == "zfspool"):
            file = f"{parent.partition(':')[2]}/{file}"
        volid = f"{storage.name}:{file}"
        if not any(_plain(known) == plain for known in storage.volumes):
            break
        if name:
            storage.volumes.pop(volid, None)
            break
        number += 1
    volume = Volume(volid, content, form if storage.files else "raw", size, guest.vmid, parent)
    storage.volumes[volid] = volume
    return volume


def _plain(volid: str) -> str:
    last = volid.rpartition("/")[2] if "/" in volid else volid.partition(":")[2]
    return last.partition(".")[0]


def owned(call: Call, vmid: int) -> list[Volume]:
    """All volumes of a guest."""
    storages = call.cluster.storages.values()
    return [volume for one in storages for volume in one.volumes.values() if volume.vmid == vmid]


def to_base(call: Call, guest: Guest) -> None:
    """Make its disks base volumes, as a template's are."""
    for key, value in guest.config.items():
        if not DRIVE.fullmatch(key):
            continue
        file, options = parse(str(value))
        if options.get("media") == "cdrom" or file == "none":
            continue
        storage = call.cluster.storage(file.partition(":")[0])
        volume = storage.volumes.pop(file)
        volume.volid = file.replace(f"vm-{guest.vmid}-disk", f"base-{guest.vmid}-disk")
        storage.volumes[volume.volid] = volume
        guest.config[key] = show(volume.volid, options)


def copy(call: Call, source: Guest, clone: Guest, full: bool, target: str | None) -> None:
    """Give a clone its disks: copies, or layers over the source's base volumes."""
    for key, value in source.config.items():
        if not DRIVE.fullmatch(key):
            continue
        file, options = parse(str(value))
        cloudinit = file.endswith("-cloudinit") or "-cloudinit." in file
        if file in {"none", "cdrom"} or (options.get("media") == "cdrom" and not cloudinit):
            continue
        old = call.cluster.volume(file)
        name = target if full and target else file.partition(":")[0]
        storage = call.cluster.storage(name)
        if cloudinit:
            made = make(storage, clone, old.size, "qcow2", name=f"vm-{clone.vmid}-cloudinit")
        else:
            made = make(storage, clone, old.size, old.format, parent=None if full else file)
            made.path = old.path
        clone.config[key] = show(made.volid, options)


def remove(call: Call, guest: Guest) -> None:
    """Delete all its volumes."""
    for volume in owned(call, guest.vmid):
        call.cluster.storage(volume.volid.partition(":")[0]).volumes.pop(volume.volid)


def check_unused(call: Call, guest: Guest) -> None:
    """Refuse to delete base volumes that linked clones lie over; LVM-thin has no such bond."""
    mine = {volume.volid for volume in owned(call, guest.vmid)}
    for storage in call.cluster.storages.values():
        for volume in storage.volumes.values():
            if volume.parent in mine and volume.vmid != guest.vmid and storage.type != "lvmthin":
                raise RefusedError(
                    f"base volume '{volume.parent}' is still in use by linked cloned"
                )
