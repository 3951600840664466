"""Calls that are refused for a moment are repeated; an unreachable server is not called again."""

from __future__ import annotations

import grp
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from plexctl.cli.start import CLOCK
from plexctl.clients.incus import connection as incus_connection
from plexctl.clients.incus import networks, observed, restart
from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import ObservedNetwork
from plexctl.model.settings import Settings
from tests.fake_pve.tls import self_signed

from .tls_server import Server, closed, deaf, listening, serving

OPERATION = "/1.0/operations/1"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    pair = self_signed()
    found = Credentials(tmp_path / "client.crt", tmp_path / "client.key")
    found.certificate.write_text(pair.pem)
    found.key.write_text(pair.key_pem)
    return found


@pytest.fixture
def client(credentials: Credentials) -> Callable[..., IncusHost]:
    def of(url: str, certificate: str = "ab" * 32, project: str | None = None) -> IncusHost:
        facts = HostFacts(2, True, 4, 8 << 30)
        host = HostSpec("far", HostKind.INCUS, "", "default", 4, url=url, facts=facts)
        return IncusHost(replace(host, certificate=certificate, project=project), credentials)

    return of


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For servers that never answer. One that answers may take long on a busy machine."""
    monkeypatch.setattr(incus_connection, "CONNECT", 1.0)
    monkeypatch.setattr(incus_connection, "ANSWER", 1.5)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(trusted=True)
    found.answers["/1.0/images?recursion=1"] = (200, {"metadata": []})
    with serving(found):
        yield found


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_called_only_once(
    client: Callable[..., IncusHost],
) -> None:
    with deaf() as port:
        far = client(f"https://127.0.0.1:{port}")
        with pytest.raises(UnreachableHostError) as error:
            far.read()
    assert error.value.summary == f"host far: Incus at https://127.0.0.1:{port} does not answer"
    assert error.value.details == ("read timed out",)
    assert str(error.value.hint).startswith("check that the machine is up and Incus runs there")
    assert far.unreachable is error.value
    assert far.facts().cpus == 4  # which nobody has to ask for

    # The port is closed by now: a call would be refused, and say so.
    with pytest.raises(UnreachableHostError) as again:
        far.networks.delete("plex-demo")
    assert again.value is error.value


@pytest.mark.usefixtures("impatient")
def test_calls_at_the_same_time_fail_with_the_same_error(client: Callable[..., IncusHost]) -> None:
    with deaf() as port, ThreadPoolExecutor(6) as pool:
        far = client(f"https://127.0.0.1:{port}")
        asked = [pool.submit(far.images.list) for _ in range(6)]
        errors = {asking.exception() for asking in asked}
    assert errors == {far.unreachable}


@pytest.mark.usefixtures("impatient")
def test_a_closed_port_is_unreachable(client: Callable[..., IncusHost]) -> None:
    with closed() as port, pytest.raises(UnreachableHostError) as error:
        client(f"https://127.0.0.1:{port}").images.list()
    assert error.value.details == ("connection refused",)


def test_a_server_that_restarts_when_a_command_begins_is_waited_for(
    client: Callable[..., IncusHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed just before, and takes no connection until it has started again."""
    monkeypatch.setattr(incus_connection, "CONNECT", 60.0)
    server = Server(trusted=True)
    server.answers["/1.0/images?recursion=1"] = (200, {"metadata": []})
    found: list[object] = []
    with closed() as server.port:
        far = client(server.url, server.fingerprint)
        listing = threading.Thread(target=lambda: found.append(far.images.list()))
        listing.start()
        time.sleep(0.5)
        assert listing.is_alive()
        with serving(server, server.port):
            listing.join(60)
    assert found == [()]


def test_an_instance_whose_network_has_not_started_yet_is_started_later(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has just restarted brings up some networks late."""
    why = 'Failed pre-start check for device "eth0": Network "plex-wide" unavailable on this server'
    refusals = [(400, {"type": "error", "error": why, "error_code": 400})]
    done = _state(server, monkeypatch, "Stopped")
    plain = Server.answer

    def answer(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        return refusals.pop() if method == "PUT" and refusals else plain(self, method, path, body)

    monkeypatch.setattr(Server, "answer", answer)
    client(server.url, server.fingerprint).start("demo1")
    assert done == ["start"]


def test_a_server_becomes_unreachable_between_two_calls(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, waiting = client(server.url, server.fingerprint), threading.Event()
    assert far.images.list() == ()
    assert far.unreachable is None
    far.connection.api._timeout = (60, 1.0)  # from here on
    monkeypatch.setattr(Server, "answer", lambda *_: waiting.wait(60) and (200, {}))

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


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ((("size", "7"), ("user.plex.hash", "1")), {"size": "7", "user.plex.hash": "1"}),
        ((("user.plex.hash", "1"),), {"size": "", "user.plex.hash": "1"}),
    ],
)
def test_the_limit_of_a_volume_ends_when_its_definition_has_none(
    client: Callable[..., IncusHost],
    server: Server,
    config: Settings,
    sent: dict[str, str],
) -> None:
    """A PATCH only sets keys; an empty value deletes one."""
    path = "/1.0/storage-pools/default/volumes/custom/depot"
    server.answers["/1.0/storage-pools/default"] = (200, {"metadata": {"name": "default"}})
    server.answers[path] = (200, {"metadata": {"name": "depot", "type": "custom", "config": {}}})

    client(server.url, server.fingerprint).volumes.put("depot", "default", config, exists=True)

    patches = [json.loads(body) for method, _, body in server.asked if method == "PATCH"]
    assert patches == [{"config": sent}]


def _state(server: Server, monkeypatch: pytest.MonkeyPatch, status: str) -> list[str]:
    """The server has demo1 with a status, and starts it as Incus does; the actions that succeed."""
    done: list[str] = []
    now = [status]
    plain = Server.answer

    def answer(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path != "/1.0/instances/demo1/state":
            return plain(self, method, path, body)
        if method == "GET":
            return 200, {"metadata": {"status": now[0]}}
        action = json.loads(body)["action"]
        if now[0] == "Starting":  # another client's start is under way
            now[0] = "Running"
            why = 'Instance is busy running a "start" operation'
        elif action == "start" and now[0] != "Stopped":
            why = "The instance is already running"
        elif action == "unfreeze" and now[0] != "Frozen":
            why = "The container is already running"
        else:
            now[0] = "Running"
            done.append(action)
            return 200, {"metadata": {}}
        return 400, {"type": "error", "error": why, "error_code": 400}

    monkeypatch.setattr(Server, "answer", answer)
    return done


@pytest.mark.parametrize(
    ("status", "actions"),
    [("Stopped", ["start"]), ("Running", []), ("Starting", []), ("Frozen", ["unfreeze"])],
)
def test_an_instance_is_started_or_resumed_unless_it_runs(
    client: Callable[..., IncusHost],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    actions: list[str],
) -> None:
    """A server that has just started also starts the instances that ran before."""
    done = _state(server, monkeypatch, status)
    client(server.url, server.fingerprint).start("demo1")
    assert done == actions


@pytest.mark.parametrize(("status", "actions"), [("Running", []), ("Frozen", ["unfreeze"])])
def test_an_instance_that_is_not_frozen_may_be_thawed(
    client: Callable[..., IncusHost],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    actions: list[str],
) -> None:
    """Incus 6.0.4 refuses that with 400: a killed save may have frozen only some nodes."""
    done = _state(server, monkeypatch, status)
    client(server.url, server.fingerprint).snapshots.thaw("demo1")
    assert done == actions


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
    monkeypatch.setattr(far.networks, "list", dict)

    assert far.settle("demo")
    assert looks == [{"other"}]  # it stops at the first look at which no node of demo changes
    assert not far.settle("demo")


def test_settle_waits_for_the_deletion_of_networks_of_the_plex(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instances were created in a network that Incus deleted a moment later."""

    def network(name: str, plex: str) -> ObservedNetwork:
        return observed.network({"name": name, "config": {"user.plex.plex": plex}})

    one, two, other = network("one", "demo"), network("two", "demo"), network("other", "side")
    looks = [(one, two, other), (two, other), (two, other), (two, other)]
    far = client(server.url, server.fingerprint)
    monkeypatch.setattr(networks, "DELETION", 0.0)
    monkeypatch.setattr(far.instances, "changing", frozenset)
    monkeypatch.setattr(far.networks, "list", lambda: {seen.name: seen for seen in looks.pop(0)})

    assert far.settle("demo")
    assert looks == []
    looks += [(two,), (two,)]
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


@pytest.mark.parametrize("clock_offset", [0.0, 3600.0, -3600.0, None])
def test_the_clock_of_a_server_is_compared_without_a_further_call(
    client: Callable[..., IncusHost], server: Server, clock_offset: float | None
) -> None:
    server.clock_offset = clock_offset
    far = client(server.url, server.fingerprint)
    for kind in ("instances", "networks", "profiles", "network-acls", "images"):
        lists = (f"/1.0/{kind}?recursion=1", f"/1.0/{kind}?recursion=2")
        server.answers |= {path: (200, {"metadata": []}) for path in lists}
    server.answers["/1.0/storage-pools/default/volumes/custom?recursion=1"] = (
        200,
        {"metadata": []},
    )

    state = far.read()

    assert state.clock_offset == pytest.approx(clock_offset or 0.0, abs=5)
    assert far.version() == "6.0.4"
    paths = [path for _, path, _ in server.asked]
    assert len(paths) == 7, paths
    assert paths[0] == "/1.0"


def test_a_server_whose_clock_is_before_the_certificates_of_the_lab_is_named(
    client: Callable[..., IncusHost], server: Server
) -> None:
    """It trusts no certificate then, so that to add the lab again would not help."""
    server.trusted, server.clock_offset = False, -20 * 365 * 86400.0
    with pytest.raises(UnreachableHostError) as error:
        client(server.url, server.fingerprint).images.list()
    assert error.value.summary.startswith("the clock of host far says 200")
    assert error.value.summary.endswith("the certificates of this lab begin on 2026-01-01")
    assert error.value.hint == (
        "set the clock of that machine: `timedatectl set-ntp true`, or `date -s`"
    )


@pytest.mark.parametrize(
    ("project", "command"),
    [(None, "host add far URL --token"), ("plexctl-1", "host trust far")],
)
def test_a_server_that_does_not_trust_the_lab_is_unreachable(
    client: Callable[..., IncusHost], server: Server, project: str | None, command: str
) -> None:
    server.trusted = False
    with pytest.raises(UnreachableHostError) as error:
        client(server.url, server.fingerprint, project).images.list()
    assert error.value.summary == "host far does not trust this lab"
    assert f"`plexctl {command.replace('URL', server.url)}`" in str(error.value.hint)


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


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"server": "lxd", "server_version": "5.0.2"},
            "the server at {url} is LXD 5.0.2, not Incus",
        ),
        ({}, "the server at {url} is unknown, not Incus"),
        (
            {"server": "incus", "server_version": "6.0.4", "server_clustered": True},
            "the Incus server at {url} is a member of a cluster",
        ),
    ],
)
def test_only_an_incus_server_that_is_in_no_cluster_is_used(
    client: Callable[..., IncusHost], server: Server, environment: dict[str, object], said: str
) -> None:
    server.environment = environment
    far = client(server.url, server.fingerprint)
    for call in (far.read, far.pools):
        with pytest.raises(UsageError) as error:
            call()
        assert error.value.summary == f"refusing to use host far: {said.format(url=server.url)}"
    assert {path for _, path, _ in server.asked} == {"/1.0"}


class Restarting:
    """A server that drops calls as one does that is killed, and comes back after some calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dropped: list[tuple[str, str]] = []
        self.drops: dict[str, int] = {}  # path -> how many calls are dropped
        plain = Server.answer

        def answer(server: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
            if self.drops.get(path.partition("?")[0], 0) > 0:
                self.drops[path.partition("?")[0]] -= 1
                self.dropped.append((method, path))
                raise ConnectionAbortedError  # the connection ends without an answer
            return plain(server, method, path, body)

        monkeypatch.setattr(Server, "answer", answer)
        monkeypatch.setattr(restart, "EVERY", 0.01)


def test_a_read_is_repeated_while_the_server_restarts(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, restarting = client(server.url, server.fingerprint), Restarting(monkeypatch)
    assert far.images.list() == ()
    restarting.drops["/1.0/images"] = 3

    assert far.images.list() == ()
    assert len(restarting.dropped) == 3
    assert far.unreachable is None


def test_a_call_that_a_restart_broke_off_is_not_repeated_and_has_one_error(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the server has done it is not known."""
    far, restarting = client(server.url, server.fingerprint), Restarting(monkeypatch)
    server.answers["/1.0/networks/plex-a"] = server.answers["/1.0/profiles/b"] = (200, {})
    assert far.images.list() == ()
    restarting.drops = {"/1.0/networks/plex-a": 1, "/1.0/profiles/b": 1, "/1.0": 1}

    with pytest.raises(PlexError) as first:
        far.networks.delete("plex-a")
    with pytest.raises(PlexError) as second:
        far.profiles.delete("b")

    assert first.value is second.value
    assert first.value.summary == "host far: Incus was restarted while this command used it"
    assert [call for call in restarting.dropped if call[0] == "DELETE"] == [
        ("DELETE", "/1.0/networks/plex-a"),
        ("DELETE", "/1.0/profiles/b"),
    ]
    assert far.unreachable is None
    far.networks.delete("plex-a")  # the server works again


def test_an_operation_that_a_restart_has_ended_has_the_same_error(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, restarting = client(server.url, server.fingerprint), Restarting(monkeypatch)
    assert far.images.list() == ()
    server.answers["/1.0/images/abc"] = (202, {"type": "async", "operation": OPERATION})
    server.answers[f"{OPERATION}/wait?timeout=10"] = (404, {"type": "error", "error": "Not Found"})
    restarting.drops[f"{OPERATION}/wait"] = 2

    with pytest.raises(PlexError) as error:
        far.delete_image("abc")

    assert error.value.summary == "host far: Incus was restarted while this command used it"
    assert len(restarting.dropped) == 2


def test_a_server_that_does_not_come_back_is_unreachable(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, restarting = client(server.url, server.fingerprint), Restarting(monkeypatch)
    monkeypatch.setattr(restart, "RESTART", 0.1)
    assert far.images.list() == ()
    restarting.drops = {"/1.0/networks/plex-a": 1000, "/1.0": 1000}

    with pytest.raises(UnreachableHostError) as error:
        far.networks.delete("plex-a")
    assert error.value.details == ("the server ended the connection",)
    assert far.unreachable is error.value


def test_a_call_that_reached_no_server_is_repeated(
    client: Callable[..., IncusHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of a service and its next start the port is closed."""
    monkeypatch.setattr(restart, "EVERY", 0.05)
    monkeypatch.setattr(restart, "RESTART", 60.0)
    server = Server(trusted=True)
    server.answers["/1.0/profiles"] = (200, {})
    with closed() as port:
        with serving(server, port):
            far = client(server.url, server.fingerprint)
            far.connection.connect()
            far.connection.api.session.close()
        creating = threading.Thread(target=lambda: far.profiles.put("a", (), (), exists=False))
        creating.start()
        time.sleep(0.3)
        assert creating.is_alive()
        with serving(server, port):
            creating.join(60)
        assert not creating.is_alive()
    assert [path for method, path, _ in server.asked if method == "POST"] == ["/1.0/profiles"]


def test_no_library_warns_about_the_clock(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 does at each connection; plexctl compares the clock with its certificates."""
    monkeypatch.setattr("urllib3.connection.RECENT_DATE", date(2100, 1, 1))
    with warnings.catch_warnings(record=True) as loud:
        warnings.simplefilter("always")
        client(server.url, server.fingerprint).connection.connect()
    assert any("System time is way off" in str(one.message) for one in loud)
    with warnings.catch_warnings(record=True) as quiet:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message=CLOCK)
        client(server.url, server.fingerprint).connection.connect()
    assert quiet == []


@pytest.fixture
def confined(client: Callable[..., IncusHost], server: Server) -> IncusHost:
    """A client of a lab that is confined to its project."""
    spec = replace(client(server.url, server.fingerprint).spec, project="plexctl-1a2b")
    return IncusHost(spec, client(server.url).connection.credentials)


def test_every_call_of_a_confined_lab_names_its_project(
    confined: IncusHost, server: Server
) -> None:
    inside = "project=plexctl-1a2b"
    for kind in ("instances", "networks", "profiles", "images"):
        server.answers[f"/1.0/{kind}?recursion=1&{inside}"] = (200, {"metadata": []})
    volumes = f"/1.0/storage-pools/default/volumes/custom?recursion=1&{inside}"
    server.answers[volumes] = (200, {"metadata": []})

    assert confined.read().confined
    assert confined.images_in_use() == frozenset()
    confined.profiles.put("plex-demo", (), (), exists=False)

    assert {inside in path for _, path, _ in server.asked} == {True}
    assert not any("all-projects" in path for _, path, _ in server.asked)


def test_tags_of_a_network_whose_config_is_hidden_are_in_its_description(
    confined: IncusHost, server: Server
) -> None:
    """Answers of Incus 6.0.4 to a restricted certificate."""
    network = {
        "config": {},
        "description": "user.plex.hash=c820 user.plex.lab=fbe42880 user.plex.plex=demo",
        "name": "plex-demo",
        "type": "bridge",
        "managed": True,
        "project": "default",
    }
    path = "/1.0/networks?recursion=1&project=plexctl-1a2b"
    server.answers[path] = (200, {"metadata": [network]})
    found = confined.networks.list()["plex-demo"]
    assert found.tags == {"hash": "c820", "lab": "fbe42880", "plex": "demo"}


@pytest.mark.parametrize(
    "why",
    [
        'User does not have permission for project "default"',
        'Project "plexctl-1a2b" doesn\'t allow for snapshot creation',
    ],
)
def test_a_refusal_names_the_project_and_who_can_help(
    confined: IncusHost, server: Server, why: str
) -> None:
    """Answers of Incus 6.0.4."""
    path = "/1.0/networks/plex-demo?project=plexctl-1a2b"
    server.answers[path] = (403, {"type": "error", "error": why, "error_code": 403})
    with pytest.raises(PlexError, match=why) as refused:
        confined.networks.delete("plex-demo")
    assert refused.value.details == ("the lab is confined to the project plexctl-1a2b there",)
    assert refused.value.hint == "an administrator of the host runs `plexctl host trust far`"


@pytest.mark.parametrize(("status", "may"), [(200, True), (403, False)])
def test_the_projects_that_a_certificate_may_use(
    confined: IncusHost, server: Server, status: int, may: bool
) -> None:
    server.answers["/1.0/projects/default"] = (status, {"type": "error", "error": "no"})
    assert confined.connection.may_use("default") is may


def test_images_of_instances_of_all_projects_are_in_use(
    client: Callable[..., IncusHost], server: Server
) -> None:
    one = {
        "name": "demo1",
        "status": "Stopped",
        "last_used_at": "",
        "config": {"volatile.base_image": "abc"},
        "project": "theirs",
    }
    path = "/1.0/instances?recursion=1&all-projects=true"
    server.answers[path] = (200, {"metadata": [one]})
    assert client(server.url, server.fingerprint).images_in_use() == {"abc"}


def test_properties_of_an_image_are_changed_as_they_were_read(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another lab marks the image at the same time: its mark must not get lost."""
    image = {"properties": {"a": "1", "b": "2"}, "public": False, "auto_update": False}
    server.answers["/1.0/images/abc"] = (200, {"type": "sync", "metadata": image})
    server.headers["/1.0/images/abc"] = {"ETag": "e1"}
    plain, refused = Server.answer, [(412, {"type": "error", "error": "ETag doesn't match: x"})]

    def answer(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        found = plain(self, method, path, body)
        return refused.pop() if method == "PUT" and refused else found

    monkeypatch.setattr(Server, "answer", answer)
    client(server.url, server.fingerprint).images.set_properties("abc", {"b": None, "c": "3"})

    puts = [json.loads(body) for method, _, body in server.asked if method == "PUT"]
    wanted = {"properties": {"a": "1", "c": "3"}, "public": False, "auto_update": False}
    assert puts == [wanted, wanted]
    assert server.sent[-1]["If-Match"] == "e1"
    methods = [method for method, path, _ in server.asked if path == "/1.0/images/abc"]
    assert methods == ["GET", "PUT", "GET", "PUT"]


def test_a_network_in_use_is_reported_with_its_users(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"type": "error", "error": "The network is currently in use", "error_code": 400}
    users = ["/1.0/instances/guest?project=other", "/1.0/profiles/default"]
    answer = Server.answer

    def used(self: Server, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path == "/1.0/networks/plex-demo":
            return (400, refused) if method == "DELETE" else (200, {"metadata": {"used_by": users}})
        return answer(self, method, path, body)

    monkeypatch.setattr(Server, "answer", used)
    with pytest.raises(PlexError, match="cannot be deleted: The network is currently in use") as e:
        client(server.url, server.fingerprint).networks.delete("plex-demo")
    assert e.value.details == ("used by instance guest", "used by profile default")
    assert e.value.hint


def test_the_group_of_a_socket_that_the_user_may_not_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "unix.socket"
    path.touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    group = grp.getgrgid(path.stat().st_gid).gr_name
    near = IncusHost(HostSpec("local", HostKind.INCUS, str(path), "default", 4), None)
    with pytest.raises(UnreachableHostError) as error:
        near.images.list()
    assert error.value.summary == f"host local: this user may not use the Incus at {path}"
    assert f"sudo usermod -aG {group} $USER" in (error.value.hint or "")


LISTS = ("instances", "networks", "profiles", "network-acls", "images")


def readable(server: Server) -> None:
    server.answers |= {f"/1.0/{kind}?recursion=1": (200, {"metadata": []}) for kind in LISTS}
    volumes = "/1.0/storage-pools/default/volumes/custom?recursion=1"
    server.answers[volumes] = (200, {"metadata": []})


def test_a_read_needs_no_pylxd(client: Callable[..., IncusHost], server: Server) -> None:
    """To load it takes longer than the read."""
    readable(server)
    far = client(server.url, server.fingerprint)
    assert far.read() == far.read()
    assert "api" not in far.connection.__dict__
    assert [path for _, path, _ in server.asked].count("/1.0") == 1


def test_who_needs_instances_only_waits_for_no_other_list(
    client: Callable[..., IncusHost], server: Server
) -> None:
    """Networks, profiles and volumes are not read where only instances count."""
    readable(server)
    assert client(server.url, server.fingerprint).read_instances().instances == {}
    assert [path for _, path, _ in server.asked] == ["/1.0", "/1.0/instances?recursion=1"]


def test_a_read_of_this_machine_goes_over_its_socket(tmp_path: Path) -> None:
    server = Server(trusted=True)
    readable(server)
    server.clock_offset = 3600.0
    with listening(server, tmp_path / "unix.socket") as path:
        near = IncusHost(HostSpec("local", HostKind.INCUS, str(path), "default", 4), None)
        state = near.read()
    assert state.instances == {}
    assert state.clock_offset == 0.0
    assert "api" not in near.connection.__dict__
    assert len(server.asked) == 7


def test_a_read_that_is_refused_is_reported_as_by_pylxd(
    client: Callable[..., IncusHost], server: Server
) -> None:
    readable(server)
    server.answers["/1.0/profiles?recursion=1"] = (500, {"type": "error", "error": "no disk"})
    far = client(server.url, server.fingerprint)
    with pytest.raises(PlexError) as error:
        far.read()
    assert error.value.summary == "host far: the profiles cannot be read: no disk"
    assert far.unreachable is None


def test_a_whole_read_is_repeated_while_the_server_restarts(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable(server)
    far, restarting = client(server.url, server.fingerprint), Restarting(monkeypatch)
    restarting.drops = {"/1.0": 1, "/1.0/images": 3, "/1.0/networks": 1}
    assert far.read().images == ()
    assert far.unreachable is None
    restarting.drops = {"/1.0/profiles": 2}
    assert far.read().images == ()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_in_a_read_is_called_only_once(
    client: Callable[..., IncusHost], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable(server)
    far, waiting = client(server.url, server.fingerprint), threading.Event()
    far.connection.connect_to_read()
    monkeypatch.setattr(Server, "answer", lambda *_: waiting.wait(20) and (200, {}))
    with pytest.raises(UnreachableHostError) as error:
        far.read()
    waiting.set()
    assert error.value is far.unreachable
    assert error.value.details == ("read timed out",)
    assert "api" not in far.connection.__dict__
