"""Requests to registries: from this machine, and by the Python of their own nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.registry import routes as registry_ways
from plexctl.clients.registry.lab import LabRegistry, Part, Route
from plexctl.clients.registry.routes import HttpsRoute, NodeRoute
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Clock, Condition, Observation, wait
from plexctl.model.secret import Secret
from tests.fake_incus import LOCAL

from .tls_server import Server, serving

SECRET = "open sesame"
PARTS = (Part("application/vnd.test.config+json", b"{}"), Part("application/vnd.test", b"apps"))


class Node(IncusInstances):
    """Runs programs on this machine, with a folder of its own as /run."""

    def __init__(self, run: Path) -> None:
        super().__init__(IncusConnection(LOCAL))
        self.run = run
        self.lost = 0  # pushes that fail first
        self.modes: list[int] = []
        self.words: list[str] = []

    def push(self, name: str, path: str, content: bytes, *, mode: int) -> bool:
        assert name == "registry"
        if self.lost:
            self.lost -= 1
            return False
        self.modes.append(mode)
        self._file(path).write_bytes(content)
        return True

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        self.words += argv
        python, option, program, request = argv
        assert (python, option) == ("python3", "-c")
        words = (sys.executable, "-I", option, program, str(self._file(request)))
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        return CommandResult(argv, done.returncode, done.stdout, done.stderr)

    def _file(self, path: str) -> Path:
        assert path.startswith("/run/")
        return self.run / path.removeprefix("/run/")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as found:
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def ways(server: Server, node: Node) -> tuple[Route, Route]:
    endpoint, ca = f"127.0.0.1:{server.port}", server.certificate.pem.encode()
    return HttpsRoute(endpoint, ca), NodeRoute(node, "registry", endpoint, ca)


def test_both_routes_get_the_same_answer(server: Server, node: Node) -> None:
    server.answers["/v2/x"] = (404, b"\x00not there\xff")
    for way in ways(server, node):
        reply = way("PUT", "/v2/x", {"Content-Type": "text/plain"}, b"\xfe\x00")
        assert (reply.status, reply.content) == (404, b"\x00not there\xff")
        assert reply.headers["content-length"] == "11"

    assert server.asked == [("PUT", "/v2/x", b"\xfe\x00")] * 2


def test_the_file_of_a_request_is_private_and_deleted(server: Server, node: Node) -> None:
    _, within = ways(server, node)
    server.answers["/v2/"] = (200, {})

    LabRegistry("https://it", within, "plexctl", Secret(SECRET.encode())).ping()

    assert node.modes == [0o600]
    assert list(node.run.iterdir()) == []
    assert not any(SECRET in word or "Basic" in word for word in node.words)


def test_only_the_given_ca_is_trusted(server: Server, node: Node) -> None:
    other = Server().certificate.pem.encode()
    endpoint = f"127.0.0.1:{server.port}"
    untrusting = (
        HttpsRoute(endpoint, other),
        NodeRoute(node, "registry", endpoint, other),
    )
    for way in untrusting:
        with pytest.raises(PlexError, match="CERTIFICATE_VERIFY_FAILED"):
            way("GET", "/v2/", {}, None)
    assert server.asked == []


def test_a_registry_that_does_not_run_is_an_error(node: Node) -> None:
    with serving(Server()) as gone:
        both = ways(gone, node)
    for way in both:
        registry = LabRegistry("https://it", way, "plexctl", Secret(SECRET.encode()))
        with pytest.raises(PlexError, match="the lab's registry at https://it does not") as error:
            registry.push("plexes/demo", "latest", *PARTS)
        assert "Connection refused" in error.value.details[0]
    assert list(node.run.iterdir()) == []


def test_a_node_whose_files_cannot_be_written_is_not_called_for_a_while(
    server: Server, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    def resting(condition: Condition) -> Observation:
        return wait(condition, Clock(sleep=rests.append))

    monkeypatch.setattr(registry_ways, "wait", resting)
    node.lost = 2
    _, within = ways(server, node)

    assert within("GET", "/1.0", {}, None).status == 200
    assert len(rests) == 2
    assert all(rest > 15 for rest in rests)
