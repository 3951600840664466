"""How an Incus server comes to trust a lab, and no other server does."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.trust import introduce, known, read_token, shown_fingerprint
from plexctl.clients.pinned_session import pinned_session
from plexctl.errors import ExitCode, PlexError, UsageError
from plexctl.model.secret import Secret
from tests.fake_pve.tls import self_signed

from .tls_server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as found:
        yield found


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    pair = self_signed()
    found = Credentials(tmp_path / "client.crt", tmp_path / "client.key")
    found.certificate.write_text(pair.pem)
    found.key.write_text(pair.key_pem)
    return found


def token_of(server: Server, fingerprint: str | None = None) -> Secret:
    """As `incus config trust add` prints it."""
    content = {"client_name": "lab", "fingerprint": fingerprint or server.fingerprint.upper()}
    return Secret(base64.b64encode(json.dumps(content).encode()) + b"\n")


def test_a_server_trusts_the_lab_after_its_token(server: Server, credentials: Credentials) -> None:
    token = token_of(server)
    server.secret = token.reveal_text().strip()
    assert not known(server.url, server.fingerprint, credentials)

    assert introduce(server.url, read_token(token), credentials) == server.fingerprint

    assert known(server.url, server.fingerprint, credentials)
    sent = [json.loads(body) for method, _, body in server.asked if method == "POST"]
    assert sent == [{"type": "client", "trust_token": server.secret}]


@pytest.mark.parametrize(("years", "what"), [(-20, "begin on 2026"), (20, "end on 2036")])
def test_a_server_whose_clock_makes_the_certificate_invalid_gets_no_token(
    server: Server, credentials: Credentials, years: int, what: str
) -> None:
    """A token works once, and the server would not trust the lab after it."""
    server.clock_offset = years * 365 * 86400.0
    with pytest.raises(PlexError, match=f"and the certificates of this lab {what}") as error:
        introduce(server.url, read_token(token_of(server)), credentials)
    assert error.value.summary.startswith(f"the clock of host {server.url} says ")
    assert "POST" not in [method for method, _, _ in server.asked]


def test_a_server_that_trusts_the_lab_gets_no_token(
    server: Server, credentials: Credentials
) -> None:
    server.trusted = True
    assert introduce(server.url, read_token(token_of(server)), credentials) == server.fingerprint
    assert {method for method, _, _ in server.asked} == {"GET"}


def test_another_server_never_sees_the_token(server: Server, credentials: Credentials) -> None:
    token = token_of(server, "ab" * 32)

    with pytest.raises(PlexError) as error:
        introduce(server.url, read_token(token), credentials)

    assert error.value.summary == f"the token is of another server than {server.url}"
    assert error.value.details == (
        f"certificate of the server: {server.fingerprint}",
        f"in the token: {'ab' * 32}",
    )
    assert error.value.hint == "check the URL"
    assert server.asked == []


def test_a_token_that_was_used_is_refused(server: Server, credentials: Credentials) -> None:
    token = token_of(server)

    with pytest.raises(PlexError) as error:
        introduce(server.url, read_token(token), credentials)

    assert error.value.summary == f"{server.url} refuses the token"
    assert error.value.details == ("not authorized",)
    assert "`incus config trust add plexctl` on the host prints one" in str(error.value.hint)
    assert token.reveal_text().strip() not in repr(error.value)


def test_a_refusal_of_another_server_than_incus_is_reported(
    server: Server, credentials: Credentials
) -> None:
    server.answers["/1.0/certificates"] = (502, b"<html>")

    with pytest.raises(PlexError, match=f"{server.url} refuses the token") as error:
        introduce(server.url, read_token(token_of(server)), credentials)

    assert error.value.details == ("502 Bad Gateway",)


@pytest.mark.parametrize(
    "text", ["", "sesame", "c2VzYW1l", base64.b64encode(b"[1]").decode(), "e30=", "ü"]
)
def test_other_text_is_not_a_token(text: str) -> None:
    with pytest.raises(UsageError) as error:
        read_token(Secret(text.encode()))
    assert error.value.summary == "this is not a trust token of Incus"
    assert error.value.exit_code is ExitCode.USAGE
    assert error.value.__suppress_context__  # the token is in what the library raised


def test_only_the_pinned_certificate_is_taken(server: Server, credentials: Credentials) -> None:
    assert shown_fingerprint(server.url) == server.fingerprint
    with pinned_session(server.url, server.fingerprint) as session:
        assert session.get(f"{server.url}/1.0", timeout=60).status_code == 200
    with pytest.raises(PlexError, match="does not answer") as error:
        known(server.url, "ab" * 32, credentials)
    assert error.value.details == ("it shows another certificate",)


def test_no_two_connections_share_an_ssl_context(
    server: Server, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading a key into a context corrupts memory if another thread connects with it meanwhile."""
    loaded: list[ssl.SSLContext] = []
    load = ssl.SSLContext.load_cert_chain

    def record(self: ssl.SSLContext, *args: Any) -> None:
        loaded.append(self)
        load(self, *args)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", record)
    with pinned_session(server.url, server.fingerprint) as session:
        session.cert = (str(credentials.certificate), str(credentials.key))
        for _ in range(2):
            answer = session.get(f"{server.url}/1.0", timeout=60, headers={"Connection": "close"})
            assert answer.status_code == 200

    first, second = loaded
    assert first is not second


@pytest.mark.parametrize("answer", [b"<html>", {"metadata": {}}, {}])
def test_other_servers_are_not_taken_for_incus(
    server: Server, credentials: Credentials, answer: object
) -> None:
    server.answers["/1.0"] = (200, answer)
    with pytest.raises(PlexError, match=f"{server.url} is not an Incus server"):
        known(server.url, server.fingerprint, credentials)


def test_a_closed_port_is_reported(credentials: Credentials) -> None:
    with serving(Server()) as gone:
        token = read_token(token_of(gone))
    with pytest.raises(PlexError, match=f"{gone.url} does not answer") as error:
        introduce(gone.url, token, credentials)
    assert error.value.details == ("connection refused",)


def test_a_server_without_https_is_reported() -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(PlexError, match=f"{url} does not answer") as error:
            shown_fingerprint(url)
    assert error.value.details == ("it is not an HTTPS server",)
