from __future__ import annotations

import re
from pathlib import Path

import pytest

from plexctl.depot.components import KubernetesRelease
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from tests.unit.depot.support import KUBEADM, Told, files_in, sha


def test_a_flipped_byte_is_named_and_nothing_is_kept(
    carried: Path, carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    (carried / "kubernetes" / "kubeadm").write_bytes(b"other bytes")
    with pytest.raises(PlexError, match="kubernetes/kubeadm: the checksum") as caught:
        carried_depot.fill(release, ["kubernetes"], told)
    shown = "\n".join(caught.value.details)
    assert sha(KUBEADM) in shown
    assert sha(b"other bytes") in shown
    assert files_in(carried_depot.root) == {"lock"}


def test_a_file_without_a_checksum_is_not_taken(
    carried: Path, carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    (carried / "SHA256SUMS").write_text("")
    with pytest.raises(PlexError, match="no checksum of kubernetes/VERSION"):
        carried_depot.fill(release, ["kubernetes"], told)
    assert carried_depot.list() == ()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("VERSION", "1.35.4\n", r"has kubernetes 1\.35\.4, where 1\.36\.3 is wanted"),
        ("kubelet", None, "lacks kubelet"),
    ],
)
def test_a_folder_that_does_not_fit_is_passed_over(
    carried: Path,
    carried_depot: Depot,
    release: KubernetesRelease,
    told: Told,
    name: str,
    content: str | None,
    reason: str,
) -> None:
    file = carried / "kubernetes" / name
    sums = (carried / "SHA256SUMS").read_text()
    if content is None:
        file.unlink()
    else:
        sums = sums.replace(sha(file.read_bytes()), sha(content.encode()))
        file.write_text(content)
    (carried / "SHA256SUMS").write_text(sums)
    with pytest.raises(PlexError, match="no source can serve") as caught:
        carried_depot.fill(release, ["kubernetes"], told)
    (line,) = caught.value.details
    assert re.search(reason, line)
