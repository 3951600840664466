"""The certificate of a server, stored as a file for other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.errors import PlexError
from plexctl.model.folder import Folder
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.workflow.core.clients import pinned_certificate

from ..clients.tls_server import Server, serving


def test_a_certificate_is_stored_once_and_no_other_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    with serving(Server()) as server:
        host = HostSpec("far", HostKind.INCUS, "", "default", 4, url=server.url)
        with pytest.raises(PlexError, match="another certificate than the pinned one") as error:
            pinned_certificate(replace(host, certificate="ab" * 32), Folder(tmp_path), file.name)
        known = replace(host, certificate=server.fingerprint)
        pinned_certificate(known, Folder(tmp_path), file.name)
    assert f"plexctl host add far {server.url} --token" in str(error.value.hint)
    assert file.read_text().strip() == server.certificate.pem.strip()

    pinned_certificate(known, Folder(tmp_path), file.name)  # the server is gone by now

    with pytest.raises(PlexError, match="does not answer"):
        pinned_certificate(replace(host, certificate="ab" * 32), Folder(tmp_path), file.name)
