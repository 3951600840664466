"""The root seed: derived bytes, and its encrypted file."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pyrage
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plexctl.errors import PlexError
from plexctl.keys import seed as seeds
from plexctl.keys.certificates import KeyPair
from plexctl.keys.lab import LabKeys, deploy_key
from plexctl.keys.seed import RootSeed, key_file, seed_file
from plexctl.model import folder
from plexctl.model.secret import Secret

SEED = RootSeed(Secret(bytes(range(32))))

WITH_PASSPHRASE = (
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBBQUVDQXdRRkJnY0lDUW9MREEwT0R3IDQKeGorY2Rp"
    "bE4veWl3N2JtL2xaVGl4NElhK3ZUdEwvakZINXlBaEV2cjlzawotLS0gZDg4eDNrcGpKQ3BVYmkrSGFOWHVI"
    "bXZvaXArYm1VZ3RZeklJTjlmK3g2ZwoyMzQ1Njc4OTo7PD0+P0BBupipF+OrLeg7+okQ6f2TfuHC96q4HRoI"
    "FpGlTMQYPLquiVjWkiazJ7QNrFRIfBEi"
)
"""SEED under the passphrase "häßlich", with a work factor of 4 instead of the second it takes."""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return tmp_path / "lab"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".config" / "plexctl"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("length", [1, 32, 33, 48, 8160])
def test_derive_is_hkdf_sha256(length: int) -> None:
    info = b"\0\0\0\3ssh\0\0\0\5demo1"
    hkdf = HKDF(hashes.SHA256(), length, salt=b"plexctl root seed 1", info=info)
    assert SEED.derive("ssh", "demo1", length=length) == hkdf.derive(SEED.value.reveal())


def test_derived_bytes_belong_to_one_path() -> None:
    paths = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("a", "bc", ""), ()]
    assert len({SEED.derive(*path) for path in paths}) == len(paths)
    assert SEED.derive("a") != RootSeed(Secret(bytes(32))).derive("a")


def name_of(pair: KeyPair) -> str:
    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_lab_id_is_the_same_on_every_machine() -> None:
    assert SEED.lab_id == "f262bbb00101ad1a8ead012f64104758"
    assert SEED.short_id == "f262bbb0"


def test_names_and_keys_keep_the_short_identifier_that_they_had() -> None:
    """Other bytes would replace every node of a lab with a registry, and log plexctl out."""
    keys = LabKeys.derive(SEED)
    assert name_of(keys.ca.pair) == name_of(keys.client()) == "plexctl f262bbb0"
    assert deploy_key(SEED, "demo").public.endswith(" flux-demo-f262bbb0")


def test_a_seed_is_hidden_in_text() -> None:
    assert repr(SEED) == str(SEED) == "RootSeed(value=Secret(…))"


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RootSeed(Secret(b"short"))


def test_only_its_user_opens_the_seed_of_a_new_lab(lab: Path, config: Path) -> None:
    before = os.umask(0)
    try:
        made = seeds.load_or_create(lab, config)
    finally:
        os.umask(before)

    assert seeds.load_or_create(lab, config) == seeds.load(lab, config) == made
    assert mode(config) == 0o700
    assert mode(key_file(config)) == 0o600
    assert made.value.reveal() not in seed_file(lab).read_bytes()
    assert [file.name for file in seed_file(lab).parent.iterdir()] == ["seed.age"]


def test_a_second_lab_of_a_user_has_the_same_key_and_its_own_seed(
    lab: Path, config: Path, tmp_path: Path
) -> None:
    first = seeds.create(lab, config)
    key = key_file(config).read_bytes()
    second = seeds.create(tmp_path / "other", config)
    assert first != second
    assert key_file(config).read_bytes() == key
    assert seeds.load(lab, config) == first


def test_a_seed_is_never_overwritten(lab: Path, config: Path) -> None:
    seeds.create(lab, config)
    before = seed_file(lab).read_bytes()
    with pytest.raises(PlexError, match="already") as caught:
        seeds.create(lab, config)
    assert caught.value.hint and "epoch" in caught.value.hint
    assert seed_file(lab).read_bytes() == before


def test_a_seed_that_another_process_creates_meanwhile_wins(
    lab: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_missing = folder.write_missing

    def loses_the_race(root: Path, path: Path, data: bytes) -> bool:
        identity = pyrage.x25519.Identity.from_str(key_file(config).read_text().split()[-1])
        path.parent.mkdir(parents=True)
        path.write_bytes(pyrage.encrypt(SEED.value.reveal(), [identity.to_public()]))
        return write_missing(root, path, data)

    monkeypatch.setattr(seeds, "write_missing", loses_the_race)
    assert seeds.load_or_create(lab, config) == SEED


def test_the_key_is_on_disk_before_the_seed(
    lab: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two must not leave a seed that nothing opens."""

    def dies_at_the_seed(root: Path, path: Path, data: bytes) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(seeds, "write_missing", dies_at_the_seed)
    with pytest.raises(KeyboardInterrupt):
        seeds.create(lab, config)
    key = key_file(config).read_bytes()
    monkeypatch.undo()

    seeds.create(lab, config)
    assert key_file(config).read_bytes() == key


def test_a_lab_without_a_seed_is_an_error(lab: Path, config: Path) -> None:
    with pytest.raises(PlexError, match=r"no root seed: .*/clusters/seed\.age does not exist"):
        seeds.load(lab, config)


def test_a_lab_copied_to_another_machine_opens_with_the_copied_key(
    lab: Path, config: Path, tmp_path: Path
) -> None:
    made = seeds.create(lab, config)
    elsewhere = tmp_path / "elsewhere"

    with pytest.raises(PlexError, match="is encrypted, and the key") as caught:
        seeds.load(lab, elsewhere)
    assert str(seed_file(lab)) in caught.value.summary
    assert str(key_file(elsewhere)) in caught.value.summary
    assert caught.value.hint and "AGE-SECRET-KEY" in caught.value.hint
    assert not elsewhere.exists()  # looking makes nothing

    seeds.create(tmp_path / "other lab", elsewhere)
    with pytest.raises(PlexError, match=r"no key in .* opens"):
        seeds.load(lab, elsewhere)

    with key_file(elsewhere).open("a") as file:
        file.write(key_file(config).read_text())
    assert seeds.load(lab, elsewhere) == made


@pytest.mark.parametrize("position", [3, 60, 120, 200, -20, -1])
def test_a_flipped_byte_fails_closed(lab: Path, config: Path, position: int) -> None:
    seeds.create(lab, config)
    damaged = bytearray(seed_file(lab).read_bytes())
    damaged[position] ^= 1
    seed_file(lab).write_bytes(damaged)
    with pytest.raises(PlexError) as caught:
        seeds.load(lab, config)
    assert "damaged" in " ".join((caught.value.summary, *caught.value.details))


def test_a_seed_of_another_length_is_refused(lab: Path, config: Path) -> None:
    seeds.create(lab, config)
    identity = pyrage.x25519.Identity.from_str(key_file(config).read_text().split()[-1])
    seed_file(lab).write_bytes(pyrage.encrypt(b"too short", [identity.to_public()]))
    with pytest.raises(PlexError, match="has 9 bytes instead of 32"):
        seeds.load(lab, config)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(lab: Path, config: Path, bits: int) -> None:
    seeds.create(lab, config)
    key_file(config).chmod(bits)
    with pytest.raises(PlexError, match=f"mode 0{bits:o}") as caught:
        seeds.load(lab, config)
    assert caught.value.hint == f"chmod 600 {key_file(config)}"


@pytest.mark.parametrize("content", [b"AGE-SECRET-KEY-1XX\n", b"\xff\x00", b"# only a comment\n"])
def test_a_damaged_key_is_named_and_kept(lab: Path, config: Path, content: bytes) -> None:
    config.mkdir(parents=True)
    key_file(config).write_bytes(content)
    key_file(config).chmod(0o600)
    with pytest.raises(PlexError, match="key") as caught:
        seeds.create(lab, config)
    assert str(key_file(config)) in caught.value.summary
    assert key_file(config).read_bytes() == content
    assert not seed_file(lab).exists()


def test_a_seed_locked_with_a_passphrase_needs_no_key(lab: Path, config: Path) -> None:
    seeds.create(lab, config, Secret("häßlich".encode()))
    assert seed_file(lab).read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert not config.exists()


def test_a_passphrase_opens_a_seed(lab: Path, config: Path) -> None:
    seed_file(lab).parent.mkdir(parents=True)
    seed_file(lab).write_bytes(base64.b64decode(WITH_PASSPHRASE))
    assert seeds.load(lab, config, ask=lambda: Secret("häßlich".encode())) == SEED
    with pytest.raises(PlexError, match="passphrase does not open"):
        seeds.load(lab, config, ask=lambda: Secret(b"wrong"))
    with pytest.raises(PlexError, match="no terminal to ask"):
        seeds.load(lab, config)


def test_a_busy_machine_does_not_make_a_passphrase_wrong(
    lab: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """age measures how fast the machine is, and may find it too slow for the file."""
    seed_file(lab).parent.mkdir(parents=True)
    seed_file(lab).write_bytes(base64.b64decode(WITH_PASSPHRASE))
    real, slow = pyrage.passphrase.decrypt, [True, True]

    def decrypt(sealed: bytes, passphrase: str) -> bytes:
        if slow and slow.pop():
            raise pyrage.DecryptError("Excessive work parameter for passphrase.")
        return bytes(real(sealed, passphrase))

    monkeypatch.setattr(pyrage.passphrase, "decrypt", decrypt)
    monkeypatch.setattr("plexctl.keys.seed.time.sleep", lambda _: None)
    asked: list[None] = []

    def ask() -> Secret:
        asked.append(None)
        return Secret("häßlich".encode())

    assert seeds.load(lab, config, ask) == SEED
    assert len(asked) == 1
    slow[:] = [True] * 100
    with pytest.raises(PlexError, match="this machine is too slow or too busy") as error:
        seeds.load(lab, config, ask)
    assert "Excessive work" in error.value.details[0]
