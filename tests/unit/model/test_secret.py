"""A secret is not printed by accident."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

import pytest

from plexctl.model.secret import Secret

VALUE = b"correct horse"


@dataclass(frozen=True)
class Holder:
    name: str
    secret: Secret


def test_printing_never_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    logging.getLogger("x").warning("%s %r", secret, Holder("a", secret))
    try:
        raise ValueError(secret)
    except ValueError as error:
        trace = "".join(traceback.format_exception(error))
    for shown in (str(secret), repr(secret), f"{secret}", str([secret]), caplog.text, trace):
        assert "correct" not in shown
        assert "Secret(…)" in shown


def test_reveal_returns_the_secret() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE).reveal_text() == "correct horse"
    assert Secret(VALUE) == Secret(b"correct horse")
