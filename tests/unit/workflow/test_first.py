"""The verb `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.keys.seed import key_file, load, user_config_dir
from plexctl.model.secret import Secret
from plexctl.workflow.first import init


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_seed_is_locked_with_the_users_key(tmp_path: Path) -> None:
    result = init(tmp_path, "lab")

    assert result.key == key_file(user_config_dir())
    assert load(tmp_path, user_config_dir()).lab_id


def test_a_seed_locked_with_a_passphrase_needs_no_key(tmp_path: Path) -> None:
    passphrase = Secret(b"sesame")

    result = init(tmp_path, "lab", passphrase)

    assert result.key is None
    assert not key_file(user_config_dir()).exists()
    assert load(tmp_path, user_config_dir(), lambda: passphrase).lab_id


def test_init_again_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, "lab")

    assert init(tmp_path, "lab").written == ()
