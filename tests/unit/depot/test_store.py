from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from plexctl.depot import index
from plexctl.depot.components import KubernetesRelease, Pins, SourceName
from plexctl.depot.pins import load_pins
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot, Pruned
from plexctl.depot.users import BEGAN, DAY, GRACE, DepotUsers
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from tests.unit.depot.support import KUBEADM, Recorder, files_in, sha

LAB = "1a2b3c4d" * 4


def test_fill_stores_once_and_verifies_afterwards(
    folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    assert folder_depot.find("kubernetes", release) is None
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    assert reporter.end_of("depot: kubernetes") == (Outcome.CHANGED, "1.36.3 from dir")

    kubeadm = stored.artifact("kubeadm")
    assert (kubeadm.version, kubeadm.size, kubeadm.mode) == ("1.36.3", len(KUBEADM), 0o755)
    assert kubeadm.path.read_bytes() == KUBEADM
    assert kubeadm.path.name == kubeadm.digest == sha(KUBEADM)
    assert kubeadm.path.stat().st_mode & 0o222 == 0

    again = Recorder()
    assert folder_depot.fill(release, ["kubernetes", "kubernetes"], again) == (stored,)
    assert again.end_of("depot: kubernetes")[0] == Outcome.UNCHANGED
    assert folder_depot.find("kubernetes", release) == stored
    assert folder_depot.list() == (stored,)


def test_digest_covers_name_mode_and_bytes_and_no_path(
    local_folder: Path, release: KubernetesRelease, tmp_path: Path, reporter: Recorder
) -> None:
    def digest(name: str) -> str:
        depot = Depot(tmp_path / name, Sources(folder=local_folder, allowed=(SourceName.DIR,)))
        return depot.fill(release, ["kubernetes"], reporter)[0].digest

    first = digest("one")
    assert digest("two") == first
    kubelet = local_folder / "kubernetes" / "kubelet"
    (local_folder / "SHA256SUMS").write_text(
        (local_folder / "SHA256SUMS").read_text().replace(sha(kubelet.read_bytes()), sha(b"new"))
    )
    kubelet.write_bytes(b"new")
    assert digest("three") != first


def test_find_reads_no_artifact_but_notices_a_missing_one(
    folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    path = stored.artifact("kubeadm").path
    flip(path)
    assert folder_depot.find("kubernetes", release) == stored  # the hot path trusts the index
    path.unlink()
    assert folder_depot.find("kubernetes", release) is None
    assert folder_depot.fill(release, ["kubernetes"], reporter) == (stored,)
    assert path.read_bytes() == KUBEADM


def flip(path: Path) -> bytes:
    """Change one byte of a file; returns what it then has."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    return bytes(content)


def test_a_flipped_byte_in_the_depot_fails_and_is_repaired(
    folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    damaged = flip(stored.artifact("kubeadm").path)
    with pytest.raises(PlexError, match=r"kubeadm of kubernetes 1\.36\.3") as caught:
        folder_depot.fill(release, ["kubernetes"], reporter)
    shown = "\n".join(caught.value.details)
    assert sha(KUBEADM) in shown
    assert sha(damaged) in shown
    assert folder_depot.find("kubernetes", release) is None
    assert folder_depot.fill(release, ["kubernetes"], reporter) == (stored,)


def test_verify_reports_damage_and_drops_the_component(
    folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    assert folder_depot.verify() == ()
    found = sha(flip(stored.artifact("kubeadm").path))
    stored.artifact("kubelet").path.unlink()
    damaged = {one.name: (one.expected, one.found) for one in folder_depot.verify()}
    assert damaged == {
        "kubeadm": (sha(KUBEADM), found),
        "kubelet": (stored.artifact("kubelet").digest, "nothing"),
    }
    assert folder_depot.verify() == ()
    assert folder_depot.list() == ()


def test_a_crash_between_blobs_and_index_leaves_no_component(
    folder_depot: Depot,
    release: KubernetesRelease,
    reporter: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(index, "write_atomic", cut)
        with pytest.raises(PowerCut):
            folder_depot.fill(release, ["kubernetes"], reporter)
    (folder_depot.root / "work" / "gobuild").mkdir(parents=True)  # nobody was there to clean up
    (folder_depot.root / "work" / "gobuild" / "half").write_text("half")

    assert folder_depot.find("kubernetes", release) is None
    assert folder_depot.list() == ()
    folder_depot.fill(release, ["kubernetes"], reporter)
    assert folder_depot.find("kubernetes", release) is not None
    assert {name.partition("/")[0] for name in files_in(folder_depot.root)} == {
        "blobs",
        "index",
        "lock",
    }


def test_prune_keeps_components_that_a_pin_uses(
    folder_depot: Depot, pins: Pins, pins_folder: Path, local_folder: Path, reporter: Recorder
) -> None:
    release = pins.release("1.36.3")
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    assert folder_depot.prune(pins, LAB).freed == 0
    assert folder_depot.find("kubernetes", release) == stored

    (pins_folder / "kubernetes" / "go.sum").write_text("newer")
    newer = load_pins(pins_folder, "amd64")
    kubelet = local_folder / "kubernetes" / "kubelet"
    sums = (local_folder / "SHA256SUMS").read_text()
    (local_folder / "SHA256SUMS").write_text(sums.replace(sha(kubelet.read_bytes()), sha(b"new")))
    kubelet.write_bytes(b"new")
    (current,) = folder_depot.fill(newer.release("1.36.3"), ["kubernetes"], reporter)

    pruned = folder_depot.prune(newer, LAB)
    assert pruned.components == ("kubernetes 1.36.3",)
    assert (pruned.blobs, pruned.freed) == (1, stored.artifact("kubelet").size)
    assert folder_depot.list() == (current,)
    assert folder_depot.verify() == ()


def test_prune_keeps_what_the_pins_of_another_lab_name(
    folder_depot: Depot, pins: Pins, pins_folder: Path, tmp_path: Path, reporter: Recorder
) -> None:
    """A lab with pins of its own, or of another version of plexctl, had to build all again."""
    release, users = pins.release("1.36.3"), DepotUsers.of(folder_depot.root)
    other = tmp_path / "other"
    (other / "clusters").mkdir(parents=True)
    (other / "clusters" / "seed.age").touch()
    users.record("0" * 32, other, pins.keys())
    (stored,) = folder_depot.fill(release, ["kubernetes"], reporter)
    (pins_folder / "kubernetes" / "go.sum").write_text("newer")
    newer = load_pins(pins_folder, "amd64")

    assert folder_depot.prune(newer, LAB) == Pruned((), 0, 0, ("kubernetes 1.36.3",))
    assert folder_depot.list() == (stored,)

    users.record("0" * 32, other, newer.keys())
    assert folder_depot.prune(newer, LAB).components == ("kubernetes 1.36.3",)


def test_prune_forgets_a_lab_whose_folder_is_gone_for_a_month(
    folder_depot: Depot, pins: Pins, pins_folder: Path, tmp_path: Path, reporter: Recorder
) -> None:
    users = DepotUsers.of(folder_depot.root)
    users.record("0" * 32, tmp_path / "gone", pins.keys())
    folder_depot.fill(pins.release("1.36.3"), ["kubernetes"], reporter)
    (pins_folder / "kubernetes" / "go.sum").write_text("newer")
    newer, record = load_pins(pins_folder, "amd64"), users.folder / f"{'0' * 32}.json"
    assert folder_depot.prune(newer, LAB).kept
    assert users.gone() == frozenset()

    os.utime(record, (time.time() - DAY - 60,) * 2)
    assert folder_depot.prune(newer, LAB).kept
    assert users.gone() == {"0" * 32}

    long_ago = time.time() - GRACE - 60
    os.utime(record, (long_ago, long_ago))
    assert folder_depot.prune(newer, LAB).components == ("kubernetes 1.36.3",)
    users.record("0" * 32, tmp_path, frozenset())
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "seed.age").touch()
    os.utime(record, (long_ago, long_ago))
    assert users.gone() == frozenset()


def test_prune_keeps_for_a_month_what_is_older_than_the_records_of_labs(
    folder_depot: Depot, pins: Pins, pins_folder: Path, tmp_path: Path, reporter: Recorder
) -> None:
    """An older version of plexctl filled it, for a lab that has not run since."""
    folder_depot.fill(pins.release("1.36.3"), ["kubernetes"], reporter)
    (entry,) = (folder_depot.root / "index").iterdir()
    os.utime(entry, (1, 1))
    (pins_folder / "kubernetes" / "go.sum").write_text("newer")
    newer, users = load_pins(pins_folder, "amd64"), DepotUsers.of(folder_depot.root)
    users.record(LAB, tmp_path, newer.keys())
    assert folder_depot.prune(newer, LAB).kept == ("kubernetes 1.36.3",)

    long_ago = time.time() - GRACE - 60
    os.utime(users.folder / BEGAN, (long_ago, long_ago))
    assert folder_depot.prune(newer, LAB).components == ("kubernetes 1.36.3",)


def test_the_record_of_a_lab_is_written_again_only_when_it_changes_or_is_a_day_old(
    tmp_path: Path,
) -> None:
    users, keys = DepotUsers.of(tmp_path), frozenset({"a"})
    users.record(LAB, tmp_path, keys)
    file = users.folder / f"{LAB}.json"
    first = file.stat().st_ino
    users.record(LAB, tmp_path, keys)
    assert file.stat().st_ino == first
    os.utime(file, (time.time() - DAY - 1,) * 2)
    users.record(LAB, tmp_path, keys)
    users.record("0" * 32, tmp_path, frozenset({"b"}))
    assert time.time() - file.stat().st_mtime < DAY
    assert users.keys(without=LAB) == {"b"}
    file.write_text("[" * 100_000)
    assert users.keys(without="") == {"b"}


def test_a_second_fill_waits_for_the_first(
    folder_depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    folder_depot.root.mkdir()
    first = FileLock(folder_depot.root / "lock")
    with first:
        second = threading.Thread(
            target=folder_depot.fill, args=(release, ["kubernetes"], reporter), daemon=True
        )
        second.start()
        for _ in range(6000):
            if reporter.expected:
                break
            time.sleep(0.01)
        assert list(reporter.expected) == ["wait until another plexctl releases the depot"]
        second.join(0.3)
        assert second.is_alive()
    second.join(60)
    assert folder_depot.find("kubernetes", release) is not None


def test_each_source_reports_why_it_cannot_serve(
    release: KubernetesRelease,
    local_folder: Path,
    tmp_path: Path,
    reporter: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(local_folder / "kubernetes")
    monkeypatch.setenv("PATH", str(tmp_path))  # no Go
    allowed = (SourceName.DIR, SourceName.GOBUILD)
    depot = Depot(tmp_path / "depot", Sources(folder=local_folder, allowed=allowed))
    with pytest.raises(PlexError, match="no source can serve kubernetes") as caught:
        depot.fill(release, ["kubernetes"], reporter)
    assert caught.value.details == (
        f"kubernetes: dir: {local_folder} has no kubernetes",
        "kubernetes: gobuild: Go is not installed",
    )
    assert "Go 1.26.0" in (caught.value.hint or "")
    assert depot.list() == ()
