"""The token for an https source of apps is stored, encrypted for the lab."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.workflow.core.context import Context
from plexctl.workflow.gitops.delivery import TOKEN, read_token, store_token

WORD = Secret(b"0f1c3b5a-secret")


def context(root: Path, number: int) -> Context:
    """The context of a lab whose seed is computed from `number`."""
    seed = RootSeed(Secret(bytes([number]) * 32))
    return cast(
        Context, SimpleNamespace(seed=seed, lab=SimpleNamespace(root=root, secrets_epoch=1))
    )


def test_a_token_that_cannot_be_decrypted_can_be_stored_again(tmp_path: Path) -> None:
    ours, theirs = context(tmp_path, 1), context(tmp_path, 2)
    plex = cast(Plex, SimpleNamespace(name="demo", file=tmp_path / "plex.yaml"))
    assert read_token(ours, plex) is None
    assert store_token(theirs, plex, WORD)
    with pytest.raises(PlexError, match="cannot be decrypted") as error:
        read_token(ours, plex)
    assert error.value.hint == "store it again: `plexctl flux token demo`"

    assert store_token(ours, plex, WORD)
    assert read_token(ours, plex) == WORD
    assert not store_token(ours, plex, WORD)
    assert (tmp_path / TOKEN).stat().st_mode & 0o777 == 0o600
