"""The client of flux-build: what it passes, what it decrypts, and what its errors show."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.flux_build import BuiltObject, FluxBuild
from plexctl.errors import PlexError

from ..conftest import FakeSops

KUSTOMIZATION = {"metadata": {"name": "web"}, "spec": {"path": "apps/web"}}
OBJECT = {"kind": "ConfigMap", "metadata": {"name": "web"}}
BUILT = {"id": "_web__ConfigMap", "object": OBJECT, "ignored": ["/data/colour"]}
NOTHING: dict[str, Any] = {"objects": None, "decrypt": None, "error": ""}


def program(folder: Path, *answers: dict[str, Any]) -> Path:
    """Gives one answer after the other; keeps what it was asked in `asked`, one JSON a line."""
    (folder / "answers.json").write_text(json.dumps([NOTHING | one for one in answers]))
    file = folder / "flux-build"
    file.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[0]).parent\n"
        "asked = {'request': json.load(sys.stdin), 'env': dict(os.environ), 'argv': sys.argv[1:]}\n"
        "with (folder / 'asked').open('a') as file:\n"
        "    file.write(json.dumps(asked) + chr(10))\n"
        "number = len((folder / 'asked').read_text().splitlines())\n"
        "answers = json.loads((folder / 'answers.json').read_text())\n"
        "print(json.dumps(answers[min(number, len(answers)) - 1]))\n"
    )
    file.chmod(0o755)
    return file


def asked(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def encrypted(fake_sops: FakeSops, folder: Path, epoch: int = 1) -> dict[str, str]:
    plain = b"kind: Secret\nmetadata: {name: key}\nstringData: {word: canary}\n"
    text = fake_sops(epoch).encrypt(plain, folder / "key.yaml")
    return {"text": base64.b64encode(text).decode(), "input": "yaml", "output": "json"}


def test_objects_have_their_id_and_ignored_fields(tmp_path: Path, fake_sops: FakeSops) -> None:
    built = FluxBuild(program(tmp_path, {"objects": [BUILT]}), tmp_path, fake_sops())
    assert built.build(KUSTOMIZATION, {"COLOUR": "="}) == (
        BuiltObject("_web__ConfigMap", OBJECT, ("/data/colour",)),
    )
    (one,) = asked(tmp_path)
    assert one["request"] == {
        "root": str(tmp_path),
        "kustomization": KUSTOMIZATION,
        "variables": {"COLOUR": "="},
        "decrypted": [],
    }


def test_it_gets_no_path_and_no_settings(
    tmp_path: Path, fake_sops: FakeSops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without PATH it finds no git, which could run commands that a file contains."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    monkeypatch.setenv("SOPS_AGE_KEY", "AGE-SECRET-KEY-1")
    FluxBuild(program(tmp_path, {}), tmp_path, fake_sops()).build(KUSTOMIZATION, {})
    (one,) = asked(tmp_path)
    assert one["argv"] == []
    assert one["env"]["HTTPS_PROXY"] == "http://proxy.example.org"
    assert not {"PATH", "HOME", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"} & one["env"].keys()


def test_encrypted_texts_are_decrypted_and_passed(tmp_path: Path, fake_sops: FakeSops) -> None:
    wanted = encrypted(fake_sops, tmp_path)
    binary = program(tmp_path, {"decrypt": [wanted]}, {"objects": [BUILT]})
    assert FluxBuild(binary, tmp_path, fake_sops()).build(KUSTOMIZATION, {})
    ((given,),) = [one["request"]["decrypted"] for one in asked(tmp_path)[1:]]
    plain = json.loads(base64.b64decode(given.pop("plain")))
    assert plain["stringData"] == {"word": "canary"}
    assert given == wanted
    (_, call) = fake_sops.calls()
    assert "--ignore-mac" in call["argv"]


def test_a_text_for_other_keys_is_reported(tmp_path: Path, fake_sops: FakeSops) -> None:
    binary = program(tmp_path, {"decrypt": [encrypted(fake_sops, tmp_path, epoch=2)]})
    with pytest.raises(PlexError, match="cannot decrypt a Secret in the tree with the keys of"):
        FluxBuild(binary, tmp_path, fake_sops()).build(KUSTOMIZATION, {})


def test_a_text_that_is_asked_for_again_and_again_ends(tmp_path: Path, fake_sops: FakeSops) -> None:
    binary = program(tmp_path, {"decrypt": [encrypted(fake_sops, tmp_path)]})
    with pytest.raises(PlexError, match="asks for the same text again"):
        FluxBuild(binary, tmp_path, fake_sops()).build(KUSTOMIZATION, {})


def test_its_error_is_one_line(tmp_path: Path, fake_sops: FakeSops) -> None:
    binary = program(tmp_path, {"error": "kustomize build failed:\n  apps/web: no such file\n"})
    with pytest.raises(PlexError) as caught:
        FluxBuild(binary, tmp_path, fake_sops()).build(KUSTOMIZATION, {})
    assert caught.value.summary == "kustomize build failed: apps/web: no such file"


def test_a_program_that_crashes_shows_nothing_of_its_output(
    tmp_path: Path, fake_sops: FakeSops
) -> None:
    file = tmp_path / "flux-build"
    file.write_text("#!/bin/sh\necho canary >&2\nexit 2\n")
    file.chmod(0o755)
    with pytest.raises(PlexError) as caught:
        FluxBuild(file, tmp_path, fake_sops()).build(KUSTOMIZATION, {})
    assert "failed with code 2" in caught.value.summary
    assert "canary" not in " ".join((caught.value.summary, *caught.value.details))
