"""What OpenTofu is told of the key to its state."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

from plexctl.clients.tofu import KEY
from plexctl.model.secret import Secret
from plexctl.provision.tofu.encryption import FILE, answer, encrypted

SEALED = Secret(bytes(range(32)))
ENCODED = base64.b64encode(SEALED.reveal()).decode()
BY_HAND = ("sh", "-c", "echo by hand: $0", "it's one word")


def settings(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / FILE).read_text())["terraform"]["encryption"]
    return found


def told(folder: Path, file: int | None) -> str:
    """What the program says that OpenTofu asks for the key."""
    (provider,) = settings(folder)["key_provider"]["external"].values()  # type: ignore[index]
    done = subprocess.run(
        provider["command"],
        input="null",
        env={**os.environ, **({} if file is None else {KEY: str(file)})},
        pass_fds=() if file is None else (file,),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout


def test_the_key_is_handed_over_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    with encrypted(tmp_path, SEALED, Path("/bin/tofu"), BY_HAND) as file:
        assert file is not None
        first, second = told(tmp_path, file), told(tmp_path, file)

    assert first == second == answer(SEALED).decode()
    header, content = map(json.loads, first.splitlines())
    assert header == {"magic": "OpenTofu-External-Key-Provider", "version": 1}
    assert content["keys"] == {"encryption_key": ENCODED, "decryption_key": ENCODED}


def test_the_key_is_in_no_file_that_has_a_name(tmp_path: Path) -> None:
    with encrypted(tmp_path, SEALED, Path("/bin/tofu"), BY_HAND):
        assert [file.name for file in tmp_path.iterdir()] == [FILE]
        assert ENCODED not in (tmp_path / FILE).read_text()
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_by_hand_the_users_own_plexctl_is_asked(tmp_path: Path) -> None:
    with encrypted(tmp_path, SEALED, Path("/bin/tofu"), BY_HAND):
        pass

    assert told(tmp_path, None) == "by hand: it's one word\n"


def test_state_and_plan_must_be_encrypted(tmp_path: Path) -> None:
    with encrypted(tmp_path, SEALED, Path("/bin/tofu"), BY_HAND):
        found = settings(tmp_path)

    assert found["state"] == found["plan"] == {"method": "method.aes_gcm.lab", "enforced": True}


def test_terraform_knows_nothing_of_it(tmp_path: Path) -> None:
    with encrypted(tmp_path, SEALED, Path("/bin/tofu"), BY_HAND):
        pass
    with encrypted(tmp_path, SEALED, Path("/bin/terraform"), BY_HAND) as file:
        assert file is None

    assert list(tmp_path.iterdir()) == []
