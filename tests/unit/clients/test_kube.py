"""Why the API of a plex does not answer."""

from __future__ import annotations

import pytest
import requests

from plexctl.clients.kube import client as kube
from plexctl.clients.kube.client import Kube, UnreachableError

from .tls_server import deaf


def test_one_that_says_nothing_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "READ", 0.1)
    with deaf() as port, pytest.raises(UnreachableError) as error:
        Kube(f"http://127.0.0.1:{port}", requests.Session()).nodes()
    assert error.value.details == ("timed out",)


def test_a_closed_port() -> None:
    with deaf() as port:
        pass
    with pytest.raises(UnreachableError) as error:
        Kube(f"http://127.0.0.1:{port}", requests.Session()).nodes()
    assert error.value.details == ("Connection refused",)
