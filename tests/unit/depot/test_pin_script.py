"""`bin/pin` writes an entry that the pins accept, and takes no checksum from nowhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from plexctl.depot.components import CProgram, GoModule
from plexctl.depot.pins import BUILTIN, PINS, load_pins
from plexctl.errors import PlexError, UsageError
from tests.pin import sums
from tests.pin.entry import Entry, add
from tests.pin.modules import PROGRAMS, name_of
from tests.pin.run import main

VERSION = "1.36.99"
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
IMAGES = {name: f"registry.k8s.io/{name}:v{VERSION}" for name in NAMES} | {
    "coredns": "registry.k8s.io/coredns/coredns:v1.14.2",
    "pause": "registry.k8s.io/pause:3.10.2",
    "etcd": "registry.k8s.io/etcd:3.6.8-0",
}
MODULE = GoModule(
    VERSION,
    780,
    {program: f"k8s.io/kubernetes/cmd/{program}" for program in PROGRAMS},
    variables={"k8s.io/component-base/version.gitMinor": "36"},
    c_programs={"pause": CProgram("", "k8s.io/kubernetes", "build/pause/linux/pause.c")},
)
SUMS = {
    program: {arch: str(number) * 64 for number, arch in enumerate(sums.ARCHITECTURES)}
    for program in sums.PROGRAMS
}


@pytest.fixture
def lab_pins(tmp_path: Path) -> Path:
    """The built-in pins as those of a lab: they are checked as its own."""
    folder = tmp_path / "pins"
    shutil.copytree(BUILTIN, folder)
    (folder / name_of(VERSION)).mkdir()
    for name in ("go.mod", "go.sum"):
        (folder / name_of(VERSION) / name).write_text(f"{name} of {VERSION}")
    return folder


@pytest.mark.parametrize("checksums", [SUMS, {}])
def test_an_entry_fits_the_pins_around_it(lab_pins: Path, checksums: sums.Sums) -> None:
    before = (lab_pins / PINS).read_text()

    add(lab_pins / PINS, Entry(VERSION, MODULE, IMAGES, checksums))

    pins = load_pins(lab_pins, "amd64", whole=True)
    assert pins.versions() == (VERSION, *load_pins().versions())
    release = pins.release(VERSION)
    assert release.images == IMAGES
    programs = release.component("kubernetes")
    assert programs.modules[name_of(VERSION)].go_mod == f"go.mod of {VERSION}"
    assert programs.modules[name_of(VERSION)].c_programs["pause"].version == "3.10.2"
    if checksums:
        assert programs.release is not None
        digests = {one.artifact: one.sha256 for one in programs.release.downloads}
        assert digests == checksums
    else:
        assert programs.release is None
    kept = (lab_pins / PINS).read_text().splitlines()
    assert all(line in kept for line in before.splitlines() if "#" in line)


def test_other_versions_keep_their_keys(lab_pins: Path) -> None:
    add(lab_pins / PINS, Entry(VERSION, MODULE, IMAGES, SUMS))

    both = load_pins(lab_pins, "amd64"), load_pins(None, "amd64")
    for version in load_pins().versions():
        after, before = (pins.release(version).components for pins in both)
        assert {name: one.key for name, one in after.items()} == {
            name: one.key for name, one in before.items()
        }


def test_a_version_is_added_once(lab_pins: Path) -> None:
    entry = Entry(VERSION, MODULE, IMAGES, SUMS)
    add(lab_pins / PINS, entry)
    text = (lab_pins / PINS).read_text()

    with pytest.raises(UsageError, match=r"has Kubernetes 1\.36\.99 already"):
        add(lab_pins / PINS, entry)
    assert (lab_pins / PINS).read_text() == text


def test_checksums_are_read_from_both_forms(tmp_path: Path) -> None:
    file = tmp_path / "sums"
    artifacts = {program: {VERSION: digests} for program, digests in SUMS.items()}
    file.write_text(json.dumps({"artifacts": artifacts}))
    assert sums.of_file(file, VERSION) == SUMS
    lines = []
    for program, digests in SUMS.items():
        lines += [f"{program}_checksums:"]
        for arch, digest in digests.items():
            lines += [f"  {arch}:", f"    {VERSION}: sha256:{digest}"]
    file.write_text("\n".join(lines))
    assert sums.of_file(file, VERSION) == SUMS


def test_a_missing_checksum_is_an_error_and_none_is_made_up(tmp_path: Path) -> None:
    file = tmp_path / "sums"
    artifacts = {program: {VERSION: {"amd64": "a" * 64}} for program in sums.PROGRAMS}
    file.write_text(json.dumps({"artifacts": artifacts}))
    with pytest.raises(UsageError, match=r"no checksum of kubeadm 1\.36\.99 for arm64"):
        sums.of_file(file, VERSION)
    file.write_text(json.dumps({"artifacts": {"kubeadm": {VERSION: {"amd64": "short"}}}}))
    with pytest.raises(PlexError, match="has no SHA-256"):
        sums.of_file(file, VERSION)


@pytest.mark.parametrize("version", ["1.36", "v1.36.3", "1.36.3 --x", "../1.36.3"])
def test_only_an_exact_version_is_taken(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["kubernetes", version])
    assert caught.value.code == 2
    assert "is not a version such as 1.36.4" in capsys.readouterr().err
