"""Bad names, folders and files on the command line: one message, code 2, and nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Plexctl


def test_a_current_folder_that_is_gone_is_one_message(
    plexctl: Plexctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    for words in (["list"], ["init"], ["list", "--json"]):
        ended = plexctl(*words)
        assert ended.code == 2
        assert "error: the current folder does not exist any more" in ended.err
        assert "bug" not in ended.err + ended.out
    assert json.loads(plexctl("list", "--json").out)["error"]["hint"]


@pytest.mark.parametrize("folder", ["nothing", "clusters/hosts.yaml", "\x01a", "a" * 300])
def test_a_folder_of_a_lab_must_exist(plexctl: Plexctl, lab: Path, folder: str) -> None:
    ended = plexctl("-C", folder, "list")
    assert ended.code == 2
    assert folder.replace("\x01", "\\x01") in ended.err


@pytest.mark.parametrize(
    "words", [["--help"], ["inventory"], ["kubeconfig", "alpha", "--json"], ["init", "--help"]]
)
def test_a_full_disk_behind_standard_output_is_one_message(lab: Path, words: list[str]) -> None:
    done = _on_a_full_disk(lab, words)
    assert "error: cannot write: No space left on device" in done.stderr


def test_an_error_as_json_on_a_full_disk_is_one_message(lab: Path) -> None:
    done = _on_a_full_disk(lab, ["kubeconfig", "gamma", "--json"], code=2)
    assert "gamma" in done.stderr


def _on_a_full_disk(lab: Path, words: list[str], code: int = 1) -> subprocess.CompletedProcess[str]:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "plexctl", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "HOME": str(lab)},
        )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    return done


@pytest.mark.parametrize(
    "words", [["init", ""], ["status", ""], ["use", ""], ["destroy", "", "-y"]]
)
def test_an_empty_name_is_no_plex(
    plexctl: Plexctl, tmp_path: Path, lab: Path, words: list[str]
) -> None:
    before = sorted(file.name for file in (lab / "clusters").iterdir())
    ended = plexctl(*words)
    assert ended.code == 2
    assert "hint: " in ended.err
    assert sorted(file.name for file in (lab / "clusters").iterdir() if file.suffix != ".age") == (
        before
    )


def test_init_refuses_an_empty_name_before_it_writes(plexctl: Plexctl, tmp_path: Path) -> None:
    ended = plexctl("-C", str(tmp_path), "init", "")
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
    assert "error: '' cannot be the name of a plex" in ended.err


def test_a_file_with_another_ending_is_reported(plexctl: Plexctl, lab: Path) -> None:
    for name in ("clusters/gamma/plex.yml", "types/mine.yml", "pins/pins.yml"):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text("{}\n")
    ended = plexctl("list")
    assert ended.code == 2
    for name in ("clusters/gamma/plex", "types/mine", "pins/pins"):
        new = Path(f"{name}.yaml").name
        assert f"{name}.yml:1: is not read: its ending must be .yaml (rename it to {new})" in (
            ended.err
        )


def test_scale_names_the_reason_why_it_cannot_change_a_file(plexctl: Plexctl, lab: Path) -> None:
    (lab / "clusters/alpha/plex.yaml").write_text("epoch: 1\nworkers:\t2\n")
    ended = plexctl("scale", "alpha", "--workers", "3", "-y")
    assert ended.code == 1
    assert "line 2: found character '\\t' that cannot start any token" in ended.err
    (lab / "clusters/alpha/plex.yaml").write_text("workers: &a 2\nepoch: *a\n")
    ended = plexctl("scale", "alpha", "--workers", "3", "-y")
    assert "cannot change `workers`" in ended.err
    assert len(ended.err.splitlines()) >= 3


def test_scale_names_no_network_for_a_number_of_workers_that_no_plex_has(
    plexctl: Plexctl, lab: Path
) -> None:
    ended = plexctl("scale", "alpha", "--workers", "100000000000000000000", "-y")
    assert ended.code == 2
    assert "use at most 4095" in ended.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": "x",\n"b": 1}\n', "depot.lock:2: b: must be a text"),
        (b'{"a": "x",\n"a": "y"}\n', "depot.lock:1: a: is given twice"),
        (b"[1]\n", "depot.lock:1: must be a JSON object"),
        (b'{\n"a": }\n', "depot.lock:2: not valid JSON: Expecting value"),
        (b'{\n"a": "\xff"}\n', "depot.lock:2: the file is not UTF-8 text"),
        (b"[" * 100_000, "depot.lock:1: not valid JSON: it nests more than 50 levels deep"),
        (b" " * (4 << 20) + b"{}", "depot.lock is larger than 4096 KiB"),
    ],
)
def test_a_damaged_lock_of_the_depot_is_refused_with_its_line(
    plexctl: Plexctl, lab: Path, content: bytes, expected: str
) -> None:
    (lab / "depot.lock").write_bytes(content)
    ended = plexctl("depot", "fill")
    assert ended.code == 2
    assert expected in ended.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1\n", "config:2: "),
        ("a:\n  - b\n c: d\n", "config:3: did not find expected"),
        ("- a\n", "it is not a mapping"),
        ("clusters: {a: b}\n", "`clusters` is not a list"),
        ("x: " + "[" * 500 + "]" * 500, "config:1: nests more than 50 levels deep"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_not_merged(
    plexctl: Plexctl, lab: Path, monkeypatch: pytest.MonkeyPatch, content: str, expected: str
) -> None:
    file = lab / "config"
    file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    ended = plexctl("kubeconfig", "alpha", "--merge")
    assert ended.code == 2
    assert expected in ended.err
    assert file.read_text() == content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("kind: HelmRelease\nx: [\n", "app/release.yaml:3: not valid YAML"),
        ("kind: HelmRelease\n", "app/release.yaml: an object lacks the field"),
        ("kind: HelmRelease\nmetadata: 1\nspec: 2\n", "app/release.yaml: "),
        ("kind: HelmRelease\n---\n- 1\n", "app/release.yaml: "),
        (
            "kind: HelmRelease\nmetadata: {name: --x, namespace: a}\nspec: {}\n",
            "app/release.yaml: ",
        ),
    ],
)
def test_a_wrong_helm_release_is_refused(
    plexctl: Plexctl, lab: Path, content: str, expected: str
) -> None:
    (lab / "apps/app").mkdir(parents=True)
    (lab / "apps/app/release.yaml").write_text(content)
    ended = plexctl("render", "app")
    assert ended.code == 2, ended.err
    assert expected in ended.err
    assert "bug" not in ended.err


@pytest.mark.parametrize(
    ("create", "expected"),
    [
        (lambda path: path.write_bytes(b"x" * (1 << 17)), "is larger than 64 KiB"),
        (lambda path: path.write_bytes(b"nonsense"), "is damaged"),
        (lambda path: path.mkdir(), "is not a file"),
        (os.mkfifo, "is not a file"),
    ],
)
def test_a_damaged_seed_is_refused(
    plexctl: Plexctl, lab: Path, create: object, expected: str
) -> None:
    assert plexctl("inventory").code == 0
    seed = lab / "clusters/seed.age"
    seed.unlink()
    assert callable(create)
    create(seed)
    ended = plexctl("inventory")
    assert ended.code == 2, ended.err
    assert f"clusters/seed.age {expected}" in ended.err or f"seed.age: it {expected}" in ended.err
