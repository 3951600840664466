"""Calls with Python's own HTTP: connections are used again, and none is after an error."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from plexctl.clients import http_session
from plexctl.clients.http_session import ERRORS, HttpSession, url_session

from .tls_server import Server, deaf, serving

LIMITS = (5.0, 5.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        server.answers["/a"] = (200, {"a": 1})
        yield server


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """All connections that sessions have established."""
    found: list[object] = []
    plain = http_session._established

    def established(connection: http_session.Connection) -> http_session.Connection:
        found.append(connection)
        return plain(connection)

    monkeypatch.setattr(http_session, "_established", established)
    return found


def session_with(server: Server) -> HttpSession:
    context = ssl.create_default_context(cadata=server.certificate.pem)
    return url_session(server.url, context)


def get(session: HttpSession, path: str = "/a", **given: Any) -> Any:
    return session.call("GET", path, timeout=LIMITS, **given).json()


def test_calls_in_turn_share_a_connection(server: Server, connected: list[object]) -> None:
    session = session_with(server)
    assert [get(session)["a"] for _ in range(3)] == [1, 1, 1]
    assert len(connected) == 1
    session.close()
    assert get(session)["a"] == 1
    assert len(connected) == 2


def test_calls_at_the_same_time_have_a_connection_each(
    server: Server, connected: list[object]
) -> None:
    session = session_with(server)
    with ThreadPoolExecutor(4) as pool:
        found = [one["a"] for one in pool.map(lambda _: get(session), range(40))]
    assert found == [1] * 40
    assert 1 <= len(connected) <= 4


def test_a_connection_that_the_server_has_closed_is_replaced(
    server: Server, connected: list[object]
) -> None:
    """A server that restarts closes idle connections; the next call must not fail."""
    session = session_with(server)
    get(session)
    session._idle[0].sock.shutdown(2)
    assert get(session)["a"] == 1
    assert len(connected) == 2


def broken(error: Exception) -> Any:
    def request(*_: object, **__: object) -> None:
        raise error

    return request


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), http.client.RemoteDisconnected("closed"), ssl.SSLEOFError()]
)
def test_a_call_that_may_be_repeated_is_if_its_server_has_moved(
    server: Server, connected: list[object], error: Exception
) -> None:
    """The address of an API moves between masters: the new owner knows no old connection."""
    session = session_with(server)
    get(session)
    session._idle[0].request = broken(error)  # type: ignore[method-assign]
    assert get(session, repeatable=True)["a"] == 1
    assert len(connected) == 2

    session._idle[0].request = broken(error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        get(session)


def test_a_server_that_ends_a_new_connection_is_not_called_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_with(server)
    calls: list[object] = []

    def request(*_: object, **__: object) -> None:
        calls.append(None)
        raise ConnectionResetError

    monkeypatch.setattr(http.client.HTTPConnection, "request", request)
    with pytest.raises(ConnectionResetError):
        get(session, repeatable=True)
    assert len(calls) == 1


def test_an_answer_that_breaks_off_is_an_error_and_ends_its_connection(
    server: Server, connected: list[object]
) -> None:
    session, server.missing = session_with(server), 10
    with pytest.raises(http.client.IncompleteRead):
        get(session)
    server.missing = 0
    assert get(session)["a"] == 1
    assert len(connected) == 2


def test_a_late_answer_is_not_taken_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf() as port:
        session = url_session(f"http://127.0.0.1:{port}")
        with pytest.raises(TimeoutError):
            session.call("GET", "/", timeout=(5.0, 0.1))
        assert not session._idle


def test_a_path_and_its_parameters_are_quoted(server: Server) -> None:
    path = "/apis/a/clusterroles/system:node%2Fx"
    server.answers |= {f"{path}?b=%2F": (200, {}), "/na%C3%AFve%20name": (200, {})}
    session = session_with(server)
    get(session, path, params={"b": "/"})
    get(session, "/naïve name")
    assert [asked for _, asked, _ in server.asked] == [f"{path}?b=%2F", "/na%C3%AFve%20name"]


def test_a_server_of_another_authority_is_refused(server: Server) -> None:
    with pytest.raises(ERRORS, match="certificate verify failed"):
        get(url_session(server.url, ssl.create_default_context()))
    assert server.asked == []
