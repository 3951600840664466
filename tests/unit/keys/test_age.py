"""The age keys for which secrets of apps are encrypted."""

from __future__ import annotations

import pyrage
import pytest

from plexctl.keys.age import (
    _bech32,
    identity_file,
    opened,
    sealed,
    sops_identity,
    sops_recipient,
)
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

SEED = RootSeed(Secret(bytes(range(32))))
FIRST = "age1ah7kfl9jve26sz9z600v4nganxzje4ptpq3rxxlrup4jq5kl5f7qnzaj2e"
SECOND = "age1uwetekmv744aa7enyngl285x52pnder4he2xlsravgajwnjgk3esp6rn44"


def test_a_seed_has_the_same_recipients_for_ever() -> None:
    """Otherwise nothing that is in version control could be read any more."""
    assert [sops_recipient(SEED, epoch) for epoch in (1, 2)] == [FIRST, SECOND]
    assert sops_recipient(RootSeed(Secret(bytes(32))), 1) != FIRST


def test_the_identity_opens_what_is_encrypted_for_its_recipient() -> None:
    recipient = pyrage.x25519.Recipient.from_str(FIRST)
    sealed = pyrage.encrypt(b"canary", [recipient])
    identity = pyrage.x25519.Identity.from_str(sops_identity(SEED, 1).reveal_text())
    assert pyrage.decrypt(sealed, [identity]) == b"canary"
    other = pyrage.x25519.Identity.from_str(sops_identity(SEED, 2).reveal_text())
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [other])


def test_the_file_has_all_epochs_the_newest_first() -> None:
    lines = identity_file(SEED, 2).reveal_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        f"# public key: {SECOND}",
        f"# public key: {FIRST}",
    ]
    keys = [pyrage.x25519.Identity.from_str(line) for line in lines if not line.startswith("#")]
    assert [str(key.to_public()) for key in keys] == [SECOND, FIRST]


def test_a_secret_that_was_sealed_in_an_epoch_opens_in_all_later_ones() -> None:
    secret = Secret(b"canary")
    content = sealed(SEED, 2, secret)
    assert b"canary" not in content
    assert [opened(SEED, epochs, content) for epochs in (1, 2, 3)] == [None, secret, secret]
    assert opened(RootSeed(Secret(bytes(32))), 3, content) is None
    assert opened(SEED, 3, b"no file of age") is None


def test_an_identity_is_hidden_in_text() -> None:
    assert "AGE" not in repr(sops_identity(SEED, 1)) + str(identity_file(SEED, 1))


def test_bech32_is_that_of_the_standard() -> None:
    # BIP 173 has the first; the second is the witness program of its example address.
    assert _bech32("a", b"") == "a12uel5l"
    words = bytes.fromhex("00443214c74254b635cf84653a56d7c675be77df")
    assert _bech32("abcdef", words) == "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"
