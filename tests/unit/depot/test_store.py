from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from plexctl.depot import index
from plexctl.depot.components import KubernetesRelease, Pins
from plexctl.depot.pins import load_pins
from plexctl.depot.sources import SourceName, Sources
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from tests.unit.depot.support import KUBEADM, Told, files_in, sha


def test_fill_stores_once_and_verifies_afterwards(
    carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    assert carried_depot.find("kubernetes", release) is None
    (stored,) = carried_depot.fill(release, ["kubernetes"], told)
    assert told.end_of("depot: kubernetes") == (Outcome.CHANGED, "1.36.3 from dir")

    kubeadm = stored.artifact("kubeadm")
    assert (kubeadm.version, kubeadm.size, kubeadm.mode) == ("1.36.3", len(KUBEADM), 0o755)
    assert kubeadm.path.read_bytes() == KUBEADM
    assert kubeadm.path.name == kubeadm.digest == sha(KUBEADM)
    assert kubeadm.path.stat().st_mode & 0o222 == 0

    again = Told()
    assert carried_depot.fill(release, ["kubernetes", "kubernetes"], again) == (stored,)
    assert again.end_of("depot: kubernetes")[0] == Outcome.UNCHANGED
    assert carried_depot.find("kubernetes", release) == stored
    assert carried_depot.list() == (stored,)


def test_digest_covers_name_mode_and_bytes_and_no_path(
    carried: Path, release: KubernetesRelease, tmp_path: Path, told: Told
) -> None:
    def digest(name: str) -> str:
        depot = Depot(tmp_path / name, Sources(carried=carried, allowed=(SourceName.DIR,)))
        return depot.fill(release, ["kubernetes"], told)[0].digest

    first = digest("one")
    assert digest("two") == first
    kubelet = carried / "kubernetes" / "kubelet"
    (carried / "SHA256SUMS").write_text(
        (carried / "SHA256SUMS").read_text().replace(sha(kubelet.read_bytes()), sha(b"new"))
    )
    kubelet.write_bytes(b"new")
    assert digest("three") != first


def test_find_reads_no_artifact_but_misses_one_that_is_gone(
    carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    (stored,) = carried_depot.fill(release, ["kubernetes"], told)
    path = stored.artifact("kubeadm").path
    flip(path)
    assert carried_depot.find("kubernetes", release) == stored  # the hot path trusts the index
    path.unlink()
    assert carried_depot.find("kubernetes", release) is None
    assert carried_depot.fill(release, ["kubernetes"], told) == (stored,)
    assert path.read_bytes() == KUBEADM


def flip(path: Path) -> bytes:
    """Change one byte of a file; returns what it then has."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    return bytes(content)


def test_a_flipped_byte_in_the_depot_fails_closed_and_is_mended(
    carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    (stored,) = carried_depot.fill(release, ["kubernetes"], told)
    damaged = flip(stored.artifact("kubeadm").path)
    with pytest.raises(PlexError, match=r"kubeadm of kubernetes 1\.36\.3") as caught:
        carried_depot.fill(release, ["kubernetes"], told)
    shown = "\n".join(caught.value.details)
    assert sha(KUBEADM) in shown
    assert sha(damaged) in shown
    assert carried_depot.find("kubernetes", release) is None
    assert carried_depot.fill(release, ["kubernetes"], told) == (stored,)


def test_verify_finds_damage_and_forgets_it(
    carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    (stored,) = carried_depot.fill(release, ["kubernetes"], told)
    assert carried_depot.verify() == ()
    found = sha(flip(stored.artifact("kubeadm").path))
    stored.artifact("kubelet").path.unlink()
    damaged = {one.name: (one.expected, one.found) for one in carried_depot.verify()}
    assert damaged == {
        "kubeadm": (sha(KUBEADM), found),
        "kubelet": (stored.artifact("kubelet").digest, "nothing"),
    }
    assert carried_depot.verify() == ()
    assert carried_depot.list() == ()


def test_a_crash_between_blobs_and_index_leaves_nothing_that_counts(
    carried_depot: Depot,
    release: KubernetesRelease,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(index, "write_atomic", cut)
        with pytest.raises(PowerCut):
            carried_depot.fill(release, ["kubernetes"], told)
    (carried_depot.root / "work" / "gobuild").mkdir(parents=True)  # nobody was there to clean up
    (carried_depot.root / "work" / "gobuild" / "half").write_text("half")

    assert carried_depot.find("kubernetes", release) is None
    assert carried_depot.list() == ()
    carried_depot.fill(release, ["kubernetes"], told)
    assert carried_depot.find("kubernetes", release) is not None
    assert {name.partition("/")[0] for name in files_in(carried_depot.root)} == {
        "blobs",
        "index",
        "lock",
    }


def test_prune_keeps_what_a_pin_uses(
    carried_depot: Depot, pins: Pins, pins_folder: Path, carried: Path, told: Told
) -> None:
    release = pins.release("1.36.3")
    (stored,) = carried_depot.fill(release, ["kubernetes"], told)
    assert carried_depot.prune(pins).freed == 0
    assert carried_depot.find("kubernetes", release) == stored

    (pins_folder / "kubernetes" / "go.sum").write_text("newer")
    newer = load_pins(pins_folder, "amd64")
    kubelet = carried / "kubernetes" / "kubelet"
    sums = (carried / "SHA256SUMS").read_text()
    (carried / "SHA256SUMS").write_text(sums.replace(sha(kubelet.read_bytes()), sha(b"new")))
    kubelet.write_bytes(b"new")
    (current,) = carried_depot.fill(newer.release("1.36.3"), ["kubernetes"], told)

    pruned = carried_depot.prune(newer)
    assert pruned.components == ("kubernetes 1.36.3",)
    assert (pruned.blobs, pruned.freed) == (1, stored.artifact("kubelet").size)
    assert carried_depot.list() == (current,)
    assert carried_depot.verify() == ()


def test_a_second_fill_waits_for_the_first(
    carried_depot: Depot, release: KubernetesRelease, told: Told
) -> None:
    carried_depot.root.mkdir()
    first = FileLock(carried_depot.root / "lock")
    with first:
        second = threading.Thread(
            target=carried_depot.fill, args=(release, ["kubernetes"], told), daemon=True
        )
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert list(told.expected) == ["wait for another plexctl that uses the depot"]
    second.join(10)
    assert carried_depot.find("kubernetes", release) is not None


def test_when_no_source_can_serve_each_says_why(
    release: KubernetesRelease,
    carried: Path,
    tmp_path: Path,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(carried / "kubernetes")
    monkeypatch.setenv("PATH", str(tmp_path))  # no Go
    allowed = (SourceName.DIR, SourceName.GOBUILD)
    depot = Depot(tmp_path / "depot", Sources(carried=carried, allowed=allowed))
    with pytest.raises(PlexError, match="no source can serve kubernetes") as caught:
        depot.fill(release, ["kubernetes"], told)
    assert caught.value.details == (
        f"kubernetes: dir: {carried} has no kubernetes",
        "kubernetes: gobuild: Go is not installed",
    )
    assert "Go 1.26.0" in (caught.value.hint or "")
    assert depot.list() == ()
