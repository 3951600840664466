"""Storages: uploads, downloads, what lies on what."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fake_pve import FakePve, Storage
from tests.unit.fake_pve.support import CLOUD, GIB, Client, refused


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server over a folder `web`; gives its URL."""
    (tmp_path / "web").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_storages_and_their_contents(client: Client) -> None:
    assert [one["storage"] for one in client.node.storage.get()] == ["local", "local-lvm"]
    assert [one["storage"] for one in client.node.storage.get(content="images")] == ["local-lvm"]


def test_upload_of_an_image(pve: FakePve, client: Client, tmp_path: Path) -> None:
    seed = tmp_path / "seed.iso"
    seed.write_bytes(bytes(range(256)) * 100 + b"\r\n--x\r\n")
    with seed.open("rb") as file:
        upid = client.node.storage("local").upload.post(content="iso", filename=file)
    assert client.wait(upid) == "OK"
    assert pve.storages["local"].volumes["local:iso/seed.iso"].data == seed.read_bytes()
    plain = refused(lambda: client.node.qemu.post(vmid=101, ide2="local:iso/seed.iso"))
    assert plain[2] == {"ide2": "explicit 'media=cdrom' is required for iso images"}
    client.vm(101, ide2="local:iso/seed.iso,media=cdrom")
    assert client.wait(client.node.storage("local").content("local:iso/seed.iso").delete()) == "OK"
    assert client.node.storage("local").content.get() == []
    start = client.wait(client.node.qemu(101).status.start.post())
    assert start == "volume 'local:iso/seed.iso' does not exist"


def test_upload_with_a_wrong_checksum(pve: FakePve, client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.iso").write_bytes(b"a")
    given = {"checksum": "0" * 64, "checksum-algorithm": "sha256", "content": "iso"}
    with (tmp_path / "a.iso").open("rb") as file:
        upid = client.node.storage("local").upload.post(filename=file, **given)
    assert client.wait(upid).startswith("checksum mismatch")
    assert not pve.storages["local"].volumes


def test_upload_of_snippets_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("#cloud-config\n")
    with (tmp_path / "a.yaml").open("rb") as file:
        upload = client.node.storage("local").upload
        _, _, errors = refused(lambda: upload.post(content="snippets", filename=file))
    assert "does not have a value in the enumeration 'iso, vztmpl, import'" in errors["content"]


def test_upload_of_a_wrong_name_or_to_a_wrong_storage(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    for name, content in (("local", "iso"), ("local-lvm", "iso")):
        with (tmp_path / "a.txt").open("rb") as file:
            upload = client.node.storage(name).upload
            assert refused(partial(upload.post, content=content, filename=file))[0] == 400


def test_download(pve: FakePve, client: Client, tmp_path: Path, web: str) -> None:
    (tmp_path / "web/d.qcow2").write_bytes(b"QFI\xfb" + bytes(20) + (5 * GIB).to_bytes(8, "big"))
    digest = hashlib.sha256((tmp_path / "web/d.qcow2").read_bytes()).hexdigest()
    given = {"content": "import", "filename": "d.qcow2", "checksum-algorithm": "sha256"}
    fetch = client.node.storage("local")("download-url")
    upid = fetch.post(url=f"{web}/d.qcow2", checksum=digest, **given)
    assert upid.split(":")[5:7] == ["download", "d.qcow2"]
    assert client.wait(upid) == "OK"
    assert pve.storages["local"].volumes["local:import/d.qcow2"].size == 5 * GIB
    again = refused(lambda: fetch.post(url=f"{web}/d.qcow2", checksum=digest, **given))
    assert again[1] == "refusing to override existing file 'd.qcow2'"


def test_download_that_fails(client: Client, web: str) -> None:
    fetch = client.node.storage("local")("download-url")
    upid = fetch.post(url=f"{web}/none.iso", content="iso", filename="none.iso")
    assert client.wait(upid).startswith("download failed: ")


def test_import_needs_its_own_syntax_and_content(pve: FakePve, client: Client) -> None:
    pve.add_volume(CLOUD)
    pve.add_volume("local:iso/debian.img")
    create = client.node.qemu.post
    size = refused(lambda: create(vmid=101, scsi0=f"local-lvm:8,import-from={CLOUD}"))
    assert "'import-from' requires special syntax" in size[2]["scsi0"]
    iso = refused(lambda: create(vmid=101, scsi0="local-lvm:0,import-from=local:iso/debian.img"))
    assert "has wrong type 'iso'" in iso[2]["scsi0"]
    gone = refused(lambda: create(vmid=101, scsi0="local-lvm:0,import-from=local:import/no.raw"))
    assert gone[:2] == (500, "volume 'local:import/no.raw' does not exist")
    where = refused(lambda: create(vmid=101, scsi0="local:8"))
    assert where[2] == {"storage": "storage 'local' does not support vm images"}


def test_linked_clone_lies_over_its_base(tmp_path: Path) -> None:
    files = Storage("files", "dir", frozenset({"images", "rootdir"}))
    with FakePve(storages=[files]) as pve:
        client = Client(pve, tmp_path)
        client.template(9000, scsi0="files:4")
        assert client.wait(client.node.qemu(9000).clone.post(newid=101)) == "OK"
        disk = client.node.qemu(101).config.get()["scsi0"]
        assert disk == "files:9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2,size=4G"
        reason = client.wait(client.node.qemu(9000).delete())
        assert reason.startswith("base volume 'files:9000/base-9000-disk-0.qcow2' is still in use")
        assert client.wait(client.node.qemu(101).delete()) == "OK"
        assert client.wait(client.node.qemu(9000).delete()) == "OK"
        assert not files.volumes
