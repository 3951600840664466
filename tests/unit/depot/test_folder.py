from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plexctl.depot.archive import Entry, image_digest, write_image, write_tar
from plexctl.depot.components import KubernetesRelease, SourceName
from plexctl.depot.lock import Lock
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from tests.unit.depot.support import KUBEADM, KUBELET, Recorder, files_in, sha


def test_a_flipped_byte_is_reported_and_nothing_is_kept(
    local_folder: Path, folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    (local_folder / "kubernetes" / "kubeadm").write_bytes(b"other bytes")
    with pytest.raises(PlexError, match="kubernetes/kubeadm: the checksum") as caught:
        folder_depot.fill(release, ["kubernetes"], reporter)
    shown = "\n".join(caught.value.details)
    assert sha(KUBEADM) in shown
    assert sha(b"other bytes") in shown
    assert files_in(folder_depot.root) == {"lock"}


def test_a_file_without_a_checksum_is_refused(
    local_folder: Path, folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    (local_folder / "SHA256SUMS").write_text("")
    with pytest.raises(PlexError, match="no checksum of kubernetes/VERSION"):
        folder_depot.fill(release, ["kubernetes"], reporter)
    assert folder_depot.list() == ()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("VERSION", "1.35.4\n", r"has kubernetes 1\.35\.4, not 1\.36\.3"),
        ("kubelet", None, "lacks kubelet"),
    ],
)
def test_an_unsuitable_folder_is_skipped(
    local_folder: Path,
    folder_depot: Depot,
    release: KubernetesRelease,
    reporter: Recorder,
    name: str,
    content: str | None,
    reason: str,
) -> None:
    file = local_folder / "kubernetes" / name
    sums = (local_folder / "SHA256SUMS").read_text()
    if content is None:
        file.unlink()
    else:
        sums = sums.replace(sha(file.read_bytes()), sha(content.encode()))
        file.write_text(content)
    (local_folder / "SHA256SUMS").write_text(sums)
    with pytest.raises(PlexError, match="no source can serve") as caught:
        folder_depot.fill(release, ["kubernetes"], reporter)
    (line,) = caught.value.details
    assert re.search(reason, line)


def put(folder: Path, component: str, **files: bytes) -> None:
    """Put files of a component into a folder of artifacts, with their checksums."""
    (folder / component).mkdir(exist_ok=True)
    sums = (folder / "SHA256SUMS").read_text()
    for name, content in files.items():
        name = name.replace("_", ".")
        (folder / component / name).write_bytes(content)
        kept = [line for line in sums.splitlines() if not line.endswith(f"  {component}/{name}")]
        sums = "\n".join([*kept, f"{sha(content)}  {component}/{name}"]) + "\n"
    (folder / "SHA256SUMS").write_text(sums)


def depot_of(root: Path, folder: Path | None, lock: Path) -> Depot:
    return Depot(root, Sources(folder=folder, lock=lock, allowed=(SourceName.DIR,)))


def test_a_program_that_is_not_the_pinned_one_is_refused(
    local_folder: Path, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    """The folder's own SHA256SUMS said that `echo EVIL` is runc 1.4.3."""
    put(local_folder, "kubernetes", kubeadm=b"echo EVIL")
    depot = depot_of(tmp_path / "depot", local_folder, tmp_path / "depot.lock")
    with pytest.raises(PlexError, match=r"kubeadm 1\.36\.3: the checksum does not match") as caught:
        depot.fill(release, ["kubernetes"], reporter)
    assert sha(KUBEADM) in "\n".join(caught.value.details)
    assert depot.list() == ()


def test_a_program_without_a_pin_is_locked_as_a_download_of_it(
    local_folder: Path, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    lock = tmp_path / "depot.lock"
    depot_of(tmp_path / "one", local_folder, lock).fill(release, ["kubernetes"], reporter)
    assert json.loads(lock.read_text()) == {"https://dl.k8s.io/v1.36.3/amd64/kubelet": sha(KUBELET)}
    put(local_folder, "kubernetes", kubelet=b"echo EVIL")
    other = depot_of(tmp_path / "two", local_folder, lock)
    with pytest.raises(PlexError, match="kubelet: the checksum does not match"):
        other.fill(release, ["kubernetes"], reporter)
    assert other.list() == ()


def test_an_image_is_locked_by_its_manifest_and_must_be_whole(
    local_folder: Path, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    lock, etcd = tmp_path / "depot.lock", "registry.k8s.io/etcd:3.6.8-0 linux/amd64"
    image = oci(tmp_path, b"etcd")
    put(local_folder, "images", VERSION=b"1.36.3\n", etcd_tar=image.read_bytes())
    depot_of(tmp_path / "one", local_folder, lock).fill(release, ["images"], reporter)
    assert json.loads(lock.read_text()) == {etcd: image_digest(image, "image")}

    put(local_folder, "images", etcd_tar=oci(tmp_path, b"EVIL").read_bytes())
    with pytest.raises(PlexError, match=r"etcd.*linux/amd64: the checksum does not match"):
        depot_of(tmp_path / "two", local_folder, lock).fill(release, ["images"], reporter)
    # The manifest is the locked one, and the layer is another.
    put(local_folder, "images", etcd_tar=image.read_bytes().replace(b"etcd", b"EVIL"))
    with pytest.raises(PlexError, match="is not an OCI archive of one image"):
        depot_of(tmp_path / "three", local_folder, lock).fill(release, ["images"], reporter)
    put(local_folder, "images", etcd_tar=b"echo EVIL")
    with pytest.raises(PlexError, match="is not an OCI archive of one image"):
        depot_of(tmp_path / "four", local_folder, lock).fill(release, ["images"], reporter)


def oci(folder: Path, content: bytes) -> Path:
    layer = folder / "layer"
    write_tar(layer, [Entry("program", content)])
    target = folder / f"{content.decode()}.tar"
    write_image(target, "registry.k8s.io/etcd:3.6.8-0", "amd64", layer, {})
    return target


def test_a_filled_depot_serves_only_labs_that_have_locked_its_bytes(
    local_folder: Path, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    """A folder that one lab accepted served all labs of the user; the others were not asked."""
    root, url = tmp_path / "depot", "https://dl.k8s.io/v1.36.3/amd64/kubelet"
    mine, other, wrong = (tmp_path / f"{name}.lock" for name in ("mine", "other", "wrong"))
    (stored,) = depot_of(root, local_folder, mine).fill(release, ["kubernetes"], reporter)
    assert Lock(mine).accepts(stored)
    assert not Lock(other).accepts(stored)
    with pytest.raises(PlexError, match="no source can serve"):
        depot_of(root, None, other).fill(release, ["kubernetes"], reporter)
    wrong.write_text(json.dumps({url: sha(b"another")}))
    with pytest.raises(PlexError, match="kubelet: the checksum does not match"):
        Lock(wrong).accepts(stored)
    depot_of(root, local_folder, other).fill(release, ["kubernetes"], reporter)
    assert Lock(other).accepts(stored)
