"""SOPS runs with the keys and settings of the lab, and no secret is visible to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.clients.sops import recipients
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

from ..conftest import FakeSops

PLAIN = b"kind: Secret\nstringData:\n  password: canary\n"


@pytest.fixture
def file(tmp_path: Path, fake_sops: FakeSops) -> Path:
    file = tmp_path / "web.yaml"
    file.write_bytes(fake_sops().encrypt(PLAIN, file))
    return file


def test_an_encrypted_file_can_be_decrypted(fake_sops: FakeSops, file: Path) -> None:
    assert b"canary" not in file.read_bytes()
    assert fake_sops().decrypt(file).reveal() == PLAIN


def test_no_secret_is_in_arguments_or_environment(fake_sops: FakeSops, file: Path) -> None:
    sops = fake_sops()
    sops.decrypt(file)
    sops.rotate(file)
    shown = repr(fake_sops.calls())
    assert len(fake_sops.calls()) == 3
    assert "canary" not in shown
    assert "AGE-SECRET-KEY" not in shown.upper().replace("SOPS_AGE_KEY_FILE", "")
    assert "canary" not in repr(sops)


def test_sops_uses_nothing_of_the_user(
    fake_sops: FakeSops, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_RECIPIENTS", "SOPS_PGP_FP", "SOPS_CONFIG"):
        monkeypatch.setenv(name, "theirs")
    fake_sops().decrypt(file)
    names = {name for name in fake_sops.calls()[-1]["env"] if name != "LC_CTYPE"}  # Python's own
    assert names == {"HOME", "SOPS_AGE_KEY_FILE"}
    assert fake_sops.calls()[-1]["env"]["HOME"] == "/nonexistent"


def test_rotation_changes_the_recipient_with_the_epoch(fake_sops: FakeSops, file: Path) -> None:
    first, second = fake_sops(1), fake_sops(2)
    assert recipients(first.rotate(file)) == (first.recipient,)
    file.write_bytes(second.rotate(file))
    assert recipients(file.read_bytes()) == (second.recipient,)
    assert second.decrypt(file).reveal() == PLAIN


def test_a_lowered_epoch_is_reported(fake_sops: FakeSops, file: Path) -> None:
    file.write_bytes(fake_sops(2).rotate(file))
    with pytest.raises(PlexError, match="with the keys of this lab") as error:
        fake_sops(1).decrypt(file)
    assert fake_sops(2).recipient in error.value.details[0]
    assert "secrets.epoch" in (error.value.hint or "")
    with pytest.raises(PlexError, match="with the keys of this lab"):
        fake_sops(2, RootSeed(Secret(bytes(32)))).rotate(file)


def test_a_built_secret_for_other_keys_is_reported(fake_sops: FakeSops, file: Path) -> None:
    with pytest.raises(
        PlexError, match="cannot decrypt a Secret in the tree with the keys"
    ) as error:
        fake_sops(2, RootSeed(Secret(bytes(32)))).decrypt_built(file.read_bytes())
    assert fake_sops().recipient in error.value.details[0]


def test_a_file_changed_by_hand_is_reported(fake_sops: FakeSops, file: Path) -> None:
    file.write_text(file.read_text().replace("mac: ENC[1", "mac: wrong"))
    with pytest.raises(PlexError, match="was changed after it was encrypted"):
        fake_sops().decrypt(file)


def test_output_of_sops_about_plain_text_is_hidden(fake_sops: FakeSops, file: Path) -> None:
    with pytest.raises(PlexError) as error:
        fake_sops().encrypt(PLAIN.replace(b"canary", b"refuse me"), file)
    assert "refuse me" not in repr((error.value.summary, error.value.details))


@pytest.mark.parametrize("content", [b"", b"[", b"- 1", b"sops: 1", b"sops: {age: [1]}"])
def test_a_plain_file_has_no_recipients(content: bytes) -> None:
    assert recipients(content) == ()
