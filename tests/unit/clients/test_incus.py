"""Calls that are refused for a moment are repeated; an unreachable server is not called again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.incus import connection as incus_connection
from plexctl.clients.incus.connection import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from tests.fake_pve.tls import self_signed

from .tls_server import Server, deaf, serving

OPERATION = "/1.0/operations/1"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    pair = self_signed()
    found = Credentials(tmp_path / "client.crt", tmp_path / "client.key")
    found.certificate.write_text(pair.pem)
    found.key.write_text(pair.key_pem)
    return found


@pytest.fixture
def client(credentials: Credentials) -> Callable[[str, str], IncusHost]:
    def of(url: str, certificate: str = "ab" * 32) -> IncusHost:
        facts = HostFacts(2, True, 4, 8 << 30)
        host = HostSpec("far", HostKind.INCUS, "", "default", 4, url=url, facts=facts)
        return IncusHost(replace(host, certificate=certificate), credentials)

    return of


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incus_connection, "CONNECT", 0.2)
    monkeypatch.setattr(incus_connection, "ANSWER", 0.3)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(trusted=True)
    found.answers["/1.0/images?recursion=1"] = (200, {"metadata": []})
    with serving(found):
        yield found


def test_a_server_that_does_not_answer_is_called_only_once(
    client: Callable[..., IncusHost],
) -> None:
    with deaf() as port:
        far = client(f"https://127.0.0.1:{port}")
        with pytest.raises(UnreachableHostError) as error:
            far.read()
    assert error.value.summary == f"host far: Incus at https://127.0.0.1:{port} does not answer"
    assert error.value.details == ("read timed out",)
    assert error.value.hint == "check that the machine is up; `plexctl host list` shows all hosts"
    assert far.unreachable is error.value
    assert far.facts().cpus == 4  # which nobody has to ask for

    # The port is closed by now: a call would be refused, and say so.
    with pytest.raises(UnreachableHostError) as again:
        far.networks.delete("plex-demo")
    assert again.value is error.value


def test_calls_at_the_same_time_fail_with_the_same_error(client: Callable[..., IncusHost]) -> None:
    with deaf() as port, ThreadPoolExecutor(6) as pool:
        far = client(f"https://127.0.0.1:{port}")
        asked = [pool.submit(far.images.list) for _ in range(6)]
        errors = {asking.exception() for asking in asked}
    assert errors == {far.unreachable}


def test_a_closed_port_is_unreachable(client: Callable[..., IncusHost]) -> None:
    with deaf() as port:
        pass
    with pytest.raises(UnreachableHostError) as error:
        client(f"https://127.0.0.1:{port}").images.list()
    assert error.value.details == ("connection refused",)


def test_a_server_becomes_unreachable_between_two_calls(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, waiting = client(server.url, server.fingerprint), threading.Event()
    assert far.images.list() == ()
    assert far.unreachable is None
    monkeypatch.setattr(Server, "answer", lambda *_: waiting.wait(20) and (200, {}))

    with pytest.raises(UnreachableHostError):
        far.images.list()
    waiting.set()

    with pytest.raises(UnreachableHostError) as error:  # it would answer again
        far.images.list()
    assert error.value is far.unreachable


def test_a_network_that_is_refused_for_a_moment_is_created_by_a_second_call(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "Failed to delete bridge children interfaces: Device does not exist"
    server.answers["/1.0/networks"] = (400, {"type": "error", "error": why, "error_code": 400})
    answer = Server.answer

    def soon(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        found = answer(self, method, path, body)
        self.answers.pop(path, None)
        return found

    monkeypatch.setattr(Server, "answer", soon)

    client(server.url, server.fingerprint).networks.put("plex-demo", (), exists=False)

    assert [asked[:2] for asked in server.asked].count(("POST", "/1.0/networks")) == 2


def test_instances_with_operations_under_way_are_changing(
    client: Callable[..., IncusHost], server: Server
) -> None:
    def operation(kind: str, what: str, *names: str) -> dict[str, object]:
        instances = [f"/1.0/instances/{name}" for name in names]
        return {
            "class": kind,
            "description": what,
            "resources": {"instances": instances} if names else None,
        }

    server.answers["/1.0/operations?recursion=1"] = (
        200,
        {
            "metadata": {
                "running": [
                    operation("task", "Stopping instance", "demo1"),
                    operation("task", "Deleting instance", "demo2?project=default"),
                    operation("task", "Executing command", "demo3"),
                    operation("websocket", "Showing console", "demo4"),
                    operation("task", "Downloading image"),
                ],
                "failure": [operation("task", "Starting instance", "demo5")],
            }
        },
    )

    assert client(server.url, server.fingerprint).instances.changing() == {"demo1", "demo2"}


def test_settle_waits_for_operations_on_nodes_of_the_plex(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = client(server.url, server.fingerprint)
    looks = [{"demo1"}, {"demo1", "other"}, {"other", "demon1"}, {"other"}]
    monkeypatch.setattr(far.instances, "changing", lambda: frozenset(looks.pop(0)))

    assert far.settle("demo")
    assert looks == [{"other"}]  # it stops at the first look at which no node of demo changes
    assert not far.settle("demo")


def test_a_server_that_refuses_a_request_is_reachable(
    client: Callable[..., IncusHost], server: Server
) -> None:
    far = client(server.url, server.fingerprint)
    server.answers["/1.0/images?recursion=1"] = (500, {"type": "error", "error": "no disk"})

    with pytest.raises(PlexError) as error:
        far.images.list()

    assert error.value.summary == "host far: the images cannot be read: no disk"
    assert far.unreachable is None


def test_a_server_with_another_certificate_is_unreachable(
    client: Callable[..., IncusHost], server: Server
) -> None:
    with pytest.raises(UnreachableHostError) as error:
        client(server.url).images.list()
    assert error.value.summary == (
        f"host far: {server.url} shows another certificate than the pinned one"
    )
    assert f"plexctl host add far {server.url} --token" in str(error.value.hint)
    assert server.asked == []


def test_a_server_that_does_not_trust_the_lab_is_unreachable(
    client: Callable[..., IncusHost], server: Server
) -> None:
    server.trusted = False
    with pytest.raises(UnreachableHostError) as error:
        client(server.url, server.fingerprint).images.list()
    assert error.value.summary == "host far does not trust this lab"


def test_a_source_that_breaks_off_does_not_make_the_target_unreachable(
    client: Callable[..., IncusHost], server: Server
) -> None:
    """An image is read piece by piece while the target takes it."""
    with serving(Server(trusted=True)) as other:
        source = client(other.url, other.fingerprint)
        target = client(server.url, server.fingerprint)
        other.answers["/1.0/images/abc/export"] = (200, b"the first half")
        other.answers["/1.0/images?recursion=1"] = (200, {"metadata": []})
        assert source.images.list() == target.images.list() == ()
        other.missing = 100

        with (
            pytest.raises(PlexError, match="image abc cannot be read"),
            source.images.exported("abc") as content,
        ):
            target.images.receive(content, "abc", "plex-kube")

    assert target.unreachable is None
    assert target.images.list() == ()


def test_a_wait_is_renewed_while_the_server_answers(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation may take far longer than a server may be silent."""
    monkeypatch.setattr(incus_connection, "LOOK", 1)
    answers = iter(({"status_code": 103}, {"status_code": 103}, {"status_code": 200}))
    plain = Server.answer

    def answer(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path.startswith(f"{OPERATION}/wait"):
            self.asked.append((method, path, body))
            return 200, {"metadata": next(answers)}
        if method == "DELETE":
            return 202, {"type": "async", "operation": OPERATION}
        return plain(self, method, path, body)

    monkeypatch.setattr(Server, "answer", answer)
    client(server.url, server.fingerprint).delete_image("abc")

    waits = [path for _, path, _ in server.asked if "/wait" in path]
    assert waits == [f"{OPERATION}/wait?timeout=1"] * 3
