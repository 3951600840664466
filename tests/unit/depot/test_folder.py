from __future__ import annotations

import re
from pathlib import Path

import pytest

from plexctl.depot.components import KubernetesRelease
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from tests.unit.depot.support import KUBEADM, Recorder, files_in, sha


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
