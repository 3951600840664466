"""The encryption of OpenTofu's state, and how OpenTofu gets the key."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

from plexctl.clients.tofu import KEY
from plexctl.model.folder import Folder
from plexctl.model.secret import Secret
from plexctl.provision.tofu.encryption import FILE, answer, encrypted

SEALED = Secret(bytes(range(32)))
ENCODED = base64.b64encode(SEALED.reveal()).decode()
KEY_COMMAND = ("sh", "-c", "echo by hand: $0", "it's one word")


def settings(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / FILE).read_text())["terraform"]["encryption"]
    return found


def key_answer(folder: Path, file: int | None) -> str:
    """The output of the program that OpenTofu runs to get the key."""
    (provider,) = settings(folder)["key_provider"]["external"].values()  # type: ignore[index]
    done = subprocess.run(
        provider["command"],
        input="null",
        env={**os.environ, **({} if file is None else {KEY: str(file)})},
        pass_fds=() if file is None else (file,),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def test_opentofu_can_read_the_key_more_than_once(tmp_path: Path) -> None:
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/tofu"), KEY_COMMAND) as file:
        assert file is not None
        first, second = key_answer(tmp_path, file), key_answer(tmp_path, file)

    assert first == second == answer(SEALED).decode()
    header, content = map(json.loads, first.splitlines())
    assert header == {"magic": "OpenTofu-External-Key-Provider", "version": 1}
    assert content["keys"] == {"encryption_key": ENCODED, "decryption_key": ENCODED}


def test_the_key_is_in_no_file_with_a_name(tmp_path: Path) -> None:
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/tofu"), KEY_COMMAND):
        assert [file.name for file in tmp_path.iterdir()] == [FILE]
        assert ENCODED not in (tmp_path / FILE).read_text()
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_user_of_opentofu_gets_the_key_from_plexctl(tmp_path: Path) -> None:
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/tofu"), KEY_COMMAND):
        pass

    assert key_answer(tmp_path, None) == "by hand: it's one word\n"


def test_state_and_plan_must_be_encrypted(tmp_path: Path) -> None:
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/tofu"), KEY_COMMAND):
        found = settings(tmp_path)

    assert found["state"] == found["plan"] == {"method": "method.aes_gcm.lab", "enforced": True}


def test_terraform_has_no_encryption(tmp_path: Path) -> None:
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/tofu"), KEY_COMMAND):
        pass
    with encrypted(Folder(tmp_path), SEALED, Path("/bin/terraform"), KEY_COMMAND) as file:
        assert file is None

    assert list(tmp_path.iterdir()) == []
