"""Storages: what is on them, uploads and downloads."""

from __future__ import annotations

import hashlib
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.routing import Call, route
from tests.fake_pve.state import Storage, Volume
from tests.fake_pve.tasks import Task

NAMES = {
    "iso": re.compile(r"[^/]+\.(iso|img)", re.IGNORECASE),
    "vztmpl": re.compile(r"[^/]+\.tar\.(gz|xz|zst|bz2)"),
    "import": re.compile(r"[A-Za-z0-9+._-]+\.(ova|ovf|qcow2|raw|vmdk)"),
}


@route("GET /nodes/{node}/storage")
def listed(call: Call) -> list[dict[str, Any]]:
    """The storages of a node that the caller may see."""
    wanted = set(re.split(r"[,; ]+", call.params.get("content", ""))) - {""}
    name = call.params.get("storage")
    rights = ["Datastore.Audit", "Datastore.AllocateSpace"]
    return [
        _describe(one)
        for one in call.cluster.storages.values()
        if name in {None, one.name}
        and (not wanted or wanted & one.content)
        and call.who.may(f"/storage/{one.name}", rights, some=True)
    ]


def _describe(storage: Storage) -> dict[str, Any]:
    return {
        "storage": storage.name, "type": storage.type, "content": ",".join(sorted(storage.content)),
        "enabled": 1, "active": 1, "shared": int(storage.shared), "total": storage.total,
        "used": storage.used, "avail": storage.total - storage.used,
        "used_fraction": storage.used / storage.total,
    }  # fmt: skip


@route("GET /nodes/{node}/storage/{storage}/status")
def status(call: Call) -> dict[str, Any]:
    """One storage."""
    shown = _describe(call.cluster.storage(call.params["storage"]))
    shown.pop("storage")
    return shown


@route("GET /storage")
def configured(call: Call) -> list[dict[str, Any]]:
    """The storages as they are configured."""
    return [
        {"storage": one.name, "type": one.type, "content": ",".join(sorted(one.content))}
        for one in call.cluster.storages.values()
    ]


@route("GET /nodes/{node}/storage/{storage}/content")
def content(call: Call) -> list[dict[str, Any]]:
    """The volumes of a storage."""
    storage = call.cluster.storage(call.params["storage"])
    kind, vmid = call.params.get("content"), call.params.get("vmid")
    return [
        _volume(one)
        for one in sorted(storage.volumes.values(), key=lambda volume: volume.volid)
        if kind in {None, one.content} and vmid in {None, one.vmid}
    ]


def _volume(volume: Volume) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "volid": volume.volid, "content": volume.content, "format": volume.format,
        "size": volume.size, "ctime": 1_700_000_000,
    }  # fmt: skip
    if volume.vmid is not None:
        shown["vmid"] = volume.vmid
    if volume.parent:
        shown["parent"] = volume.parent
    return shown


@route("GET /nodes/{node}/storage/{storage}/content/{volume}")
def volume(call: Call) -> dict[str, Any]:
    """One volume."""
    found = call.cluster.volume(_volid(call))
    return {"format": found.format, "size": found.size, "used": found.size, "path": found.volid}


@route("DELETE /nodes/{node}/storage/{storage}/content/{volume}")
def delete(call: Call) -> str:
    """Its end."""
    volid = _volid(call)
    storage = call.cluster.storage(call.params["storage"])
    call.who.check(f"/storage/{storage.name}", "Datastore.Allocate")
    children = [one for each in call.cluster.storages.values() for one in each.volumes.values()]
    if any(one.parent == volid for one in children) and storage.type != "lvmthin":
        raise RefusedError(f"base volume '{volid}' is still in use by linked cloned")
    gone = call.cluster.volume(volid)

    def work(task: Task) -> None:
        with call.pve.lock:
            storage.volumes.pop(gone.volid, None)

    about = storage.name if gone.vmid is None else f"{gone.vmid}@{storage.name}"
    return call.pve.tasks.start(call.node, "imgdel", about, call.who, work)


def _volid(call: Call) -> str:
    name = str(call.params["volume"])
    return name if ":" in name else f"{call.params['storage']}:{name}"


def _target(call: Call) -> tuple[Storage, str, str]:
    storage = call.cluster.storage(call.params["storage"])
    kind, name = call.params["content"], call.params["filename"]
    if kind not in storage.content:
        raise bad_parameters(
            {"storage": f"storage '{storage.name}' does not support '{kind}' content"}
        )
    if not storage.files:
        raise bad_parameters({"storage": "can't upload to storage type '" + storage.type + "'"})
    if not NAMES[kind].fullmatch(name):
        raise bad_parameters({"filename": "missing or wrong file extension"})
    return storage, kind, f"{storage.name}:{kind}/{name}"


def _verify(call: Call, path: Path) -> None:
    if "checksum" not in call.params:
        return
    wanted = call.params["checksum"].lower()
    got = hashlib.new(call.params["checksum-algorithm"], path.read_bytes()).hexdigest()
    if got != wanted:
        raise RefusedError(f"checksum mismatch: got '{got}' != expect '{wanted}'")


def keep(storage: Storage, volid: str, kind: str, source: Path, folder: Path) -> Volume:
    """Put bytes on a storage; they stay in `folder`. The size of an image is that of its disk."""
    path = folder / hashlib.sha256(volid.encode()).hexdigest()
    shutil.copyfile(source, path)
    with path.open("rb") as file:
        head = file.read(32)
    qcow2 = head[:4] == b"QFI\xfb"
    size = int.from_bytes(head[24:32], "big") if qcow2 and kind == "import" else path.stat().st_size
    form = {"iso": "iso", "snippets": "snippet"}.get(kind, path.suffix or volid.rpartition(".")[2])
    storage.volumes[volid] = Volume(volid, kind, form, size, path=path)
    return storage.volumes[volid]


@route("POST /nodes/{node}/storage/{storage}/upload")
def upload(call: Call) -> str:
    """Take a file of a form; a file of the same name is replaced."""
    storage, kind, volid = _target(call)
    if "filename" not in call.uploads:
        raise ApiError(400, "upload without a file in the field 'filename'")
    staged = call.pve.folder / f"pveupload-{len(call.pve.tasks.all)}-{id(call)}"
    call.uploads["filename"].rename(staged)

    def work(task: Task) -> None:
        try:
            _verify(call, staged)
            with call.pve.lock:
                keep(storage, volid, kind, staged, call.pve.folder)
        finally:
            staged.unlink()

    return call.pve.tasks.start(call.node, "imgcopy", "", call.who, work)


@route("POST /nodes/{node}/storage/{storage}/download-url")
def download(call: Call) -> str:
    """Fetch a URL, really; the task reports errors."""
    storage, kind, volid = _target(call)
    if volid in storage.volumes:
        raise RefusedError(f"refusing to override existing file '{call.params['filename']}'")
    staged = call.pve.folder / f"download-{len(call.pve.tasks.all)}-{id(call)}"

    def work(task: Task) -> None:
        task.log(f"downloading {call.params['url']}")
        try:
            with urllib.request.urlopen(call.params["url"], timeout=60) as source:
                staged.write_bytes(source.read())
            _verify(call, staged)
            with call.pve.lock:
                keep(storage, volid, kind, staged, call.pve.folder)
        except (urllib.error.URLError, OSError) as error:
            raise RefusedError(f"download failed: {error}") from error
        finally:
            staged.unlink(missing_ok=True)

    return call.pve.tasks.start(call.node, "download", call.params["filename"], call.who, work)
