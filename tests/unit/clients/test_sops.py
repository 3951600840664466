"""SOPS runs with the keys and settings of the lab, and no secret is visible to others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

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
        fake_sops(2, RootSeed(Secret(bytes(32)))).decrypt_text(file.read_bytes(), "yaml", "yaml")
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


SERVICES = [
    "hc_vault: [{vault_address: 'http://127.0.0.1:1', engine_path: t, key_name: k}]",
    "kms: [{arn: 'arn:aws:kms:x:1:key/y'}]",
    "gcp_kms: [{resource_id: x}]",
    "azure_kv: [{vault_url: 'http://127.0.0.1:1'}]",
    "hckms: [{key_id: x}]",
    "pgp: [{fp: x}]",
    "key_groups: [{hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}]",
    "<<: {hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}",
    "? !!binary aGNfdmF1bHQ=\n  : [{vault_address: 'http://127.0.0.1:1'}]",
    "a_new_service: [{url: 'http://127.0.0.1:1'}]",
]
"""Keys of servers that the file chooses."""


@pytest.mark.parametrize("service", SERVICES)
def test_no_server_that_a_file_names_is_called(
    fake_sops: FakeSops, file: Path, service: str
) -> None:
    """L12: SOPS would call it."""
    file.write_text(file.read_text().replace("sops:\n", f"sops:\n  {service}\n"))
    before = len(fake_sops.calls())
    for call in (fake_sops().decrypt, fake_sops().rotate):
        with pytest.raises(PlexError, match=r"refusing to use .*: its field `sops` has"):
            call(file)
    assert len(fake_sops.calls()) == before


@pytest.mark.parametrize(
    "hidden",
    [
        "<<: {sops: {hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}}",
        "sops: {hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}",
        "!!binary c29wcw==: {hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}",
        "---\nsops: {hc_vault: [{vault_address: 'http://127.0.0.1:1'}]}",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_no_field_beside_sops_hides_a_server(
    fake_sops: FakeSops, file: Path, hidden: str, first: bool
) -> None:
    text = file.read_text()
    file.write_text(f"{hidden}\n{text}" if first else f"{text}{hidden}\n")
    before = len(fake_sops.calls())
    with pytest.raises(PlexError, match=r"refusing to use|is not valid YAML"):
        fake_sops().decrypt(file)
    assert len(fake_sops.calls()) == before


def test_empty_lists_of_older_versions_are_fine(fake_sops: FakeSops, file: Path) -> None:
    more = "sops:\n  kms: []\n  gcp_kms: []\n  azure_kv: []\n  hc_vault: []\n  pgp: null\n"
    file.write_text(file.read_text().replace("sops:\n", more))
    assert fake_sops().decrypt(file).reveal() == PLAIN


@pytest.mark.parametrize("service", [one for one in SERVICES if "!!binary" not in one])
def test_a_built_secret_is_decrypted_with_keys_of_age_only(
    fake_sops: FakeSops, file: Path, service: str
) -> None:
    """Flux decrypts with the key of the lab, whatever other keys the file has."""
    text = file.read_text().replace("sops:\n", f"sops:\n  {service}\n")
    content = json.dumps(yaml.safe_load(text)).encode()  # as kustomize gives it
    plain = fake_sops().decrypt_text(content, "json", "json").reveal()
    assert json.loads(plain) == yaml.safe_load(PLAIN)
    assert set(fake_sops.calls()[-1]["sops"]) <= {"age", "mac"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_file_of_a_generator_with_other_keys_is_refused(
    fake_sops: FakeSops, file: Path, service: str
) -> None:
    """Its bytes count, so nothing can be taken out."""
    calls = len(fake_sops.calls())
    content = file.read_text().replace("sops:\n", f"sops:\n  {service}\n").encode()
    with pytest.raises(PlexError, match="refusing to use an encrypted file in the tree"):
        fake_sops().decrypt_text(content, "yaml", "yaml")
    assert len(fake_sops.calls()) == calls


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"WORD=ENC[x]\nsops_hc_vault__list_0__map_vault_address=http://x\n", "dotenv"),
        (b"[a]\nb = ENC[x]\n[sops]\nkms__list_0__map_arn = arn:x\n", "ini"),
        (b"[a]\nb = ENC[x]\n[ sops ]\n`hc_vault__list_0__map_x` = y\n[c]\nd = e\n", "ini"),
        (b"not json", "json"),
        (b'{"sops": 7}', "json"),
        (b"[" * 100000, "json"),
    ],
)
def test_other_texts_with_other_keys_or_of_another_form_are_refused(
    fake_sops: FakeSops, text: bytes, kind: str
) -> None:
    with pytest.raises(PlexError):
        fake_sops().decrypt_text(text, kind, kind)
    assert fake_sops.calls() == []


def test_settings_of_dotenv_and_ini_are_known(fake_sops: FakeSops) -> None:
    """As SOPS 3.13 writes them; the stand-in reads YAML only."""
    dotenv = (
        b"WORD=ENC[x]\nsops_age__list_0__map_enc=x\nsops_age__list_0__map_recipient=age1\n"
        b"sops_lastmodified=2026-11-29T00:00:00Z\nsops_mac=ENC[y]\n"
        b"sops_unencrypted_suffix=_unencrypted\nsops_version=3.13.3\n"
    )
    ini = (
        b"[a]\nhc_vault = ENC[x]\n\n[sops]\nage__list_0__map_enc = x\n"
        b"lastmodified = 2026-11-29T00:00:00Z\nmac = ENC[y]\nversion = 3.13.3\n"
    )
    for text, kind in ((dotenv, "dotenv"), (ini, "ini")):
        with pytest.raises(PlexError, match="sops cannot read a Secret in the tree"):
            fake_sops().decrypt_text(text, kind, kind)
    assert len(fake_sops.calls()) == 2
