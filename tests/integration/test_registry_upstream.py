"""The registry that plexctl builds, before an upstream that fails: clients learn why.

The program runs on this machine, without a node.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.fake_pve.tls import self_signed

from .support import eventually, go_program
from .upstream import MANIFEST, TAG, Fault, Image, Upstream, digest, serving

HERE = "127.0.0.1"
ERROR_PAGE = b"<html><body>Sign in to the network</body></html>"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go_program("registry", tmp_path_factory.mktemp("registry"))


@dataclass(frozen=True)
class Mirror:
    """A running registry with one upstream. `log` is what it has written."""

    base: str
    client: urllib3.PoolManager
    log: Path

    def ask(self, method: str, path: str) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": MANIFEST}
        return self.client.request(method, f"{self.base}/{path}", headers=headers)

    def error(self, path: str) -> tuple[int, str, str]:
        """Status, code and message of a request that fails."""
        answer = self.ask("GET", path)
        error: dict[str, Any] = json.loads(answer.data)["errors"][0]
        return answer.status, error["code"], error["message"]


@dataclass(frozen=True)
class Between:
    """A registry and its upstream, which has one image."""

    mirror: Mirror
    upstream: Upstream
    image: Image

    @property
    def tag(self) -> str:
        return f"{self.image.name}/manifests/{TAG}"

    @property
    def manifest(self) -> str:
        return f"{self.image.name}/manifests/{digest(self.image.manifest)}"

    @property
    def blob(self) -> str:
        return f"{self.image.name}/blobs/{digest(self.image.blobs[1])}"


@pytest.fixture
def between(program: Path, tmp_path: Path) -> Iterator[Between]:
    upstream = Upstream()
    image = upstream.have("library/cargo", size=64 << 10)
    with serving(upstream, HERE) as port:
        certificate = self_signed(HERE)
        (tmp_path / "tls.crt").write_text(certificate.pem)
        (tmp_path / "tls.key").write_text(certificate.key_pem)
        (tmp_path / "htpasswd").touch()
        with socket.socket() as free:
            free.bind((HERE, 0))
            own = free.getsockname()[1]
        settings = {
            "storage": {"rootDirectory": str(tmp_path / "storage")},
            "http": {
                "address": HERE,
                "port": str(own),
                "tls": {"cert": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")},
                "auth": {"htpasswd": {"path": str(tmp_path / "htpasswd")}},
            },
            "log": {"level": "warn"},
            "extensions": {
                "sync": {
                    "registries": [
                        {
                            "urls": [f"http://{HERE}:{port}"],
                            "content": [{"destination": "/docker.io"}],
                        }
                    ]
                }
            },
        }
        (tmp_path / "registry.json").write_text(json.dumps(settings))
        log = tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [program, "serve", tmp_path / "registry.json"], stdout=file, stderr=file
            )
        context = ssl.create_default_context(cadata=certificate.pem)
        client = urllib3.PoolManager(ssl_context=context, timeout=40, retries=False)
        mirror = Mirror(f"https://{HERE}:{own}/v2/docker.io", client, log)
        try:
            eventually("the registry answers", lambda: answers(own))
            yield Between(mirror, upstream, image)
        finally:
            upstream.over.set()
            process.terminate()
            process.wait(timeout=60)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0


@pytest.mark.parametrize(
    ("fault", "status", "code", "message"),
    [
        (Fault(401), 401, "UNAUTHORIZED", "answers 401 Unauthorized"),
        (Fault(403), 403, "DENIED", "answers 403 Forbidden"),
        (Fault(429, {"Retry-After": "7"}), 429, "TOOMANYREQUESTS", "answers 429"),
        (Fault(500), 502, "UNAVAILABLE", "answers 500 Internal Server Error"),
        (Fault(503, {"Retry-After": "7"}), 503, "UNAVAILABLE", "answers 503"),
        (
            Fault(200, {"Content-Type": "text/html"}, ERROR_PAGE),
            502,
            "UNAVAILABLE",
            "answers 200 OK, with content that cannot be used",
        ),
        (Fault(0), 502, "UNAVAILABLE", "EOF"),
    ],
    ids=["401", "403", "429", "500", "503", "html", "nothing"],
)
def test_a_failure_of_the_upstream_reaches_the_client(
    between: Between, fault: Fault, status: int, code: str, message: str
) -> None:
    between.upstream.faults[""] = fault
    for path in (between.tag, between.manifest):
        found = between.mirror.error(path)
        assert found[:2] == (status, code), path
        assert message in found[2], path
        head = between.mirror.ask("HEAD", path)
        assert head.status == status, path
        assert head.headers.get("Retry-After") == fault.headers.get("Retry-After"), path
    if fault.status != 200:  # a blob is compared with its digest
        assert between.mirror.error(between.blob)[0] == status
        assert between.mirror.ask("HEAD", between.blob).status == status

    lines = [line for line in between.mirror.log.read_text().splitlines() if message in line]
    logged = f'level=warning msg="GET /v2/{between.tag}: '
    assert any(line.startswith(logged) for line in lines), lines

    between.upstream.faults.clear()
    assert between.mirror.ask("GET", between.tag).data == between.image.manifest
    assert between.mirror.ask("GET", between.blob).data == between.image.blobs[1]


def test_what_the_upstream_lacks_is_unknown_and_no_line_in_the_log(between: Between) -> None:
    assert between.mirror.error("library/other/manifests/1")[:2] == (404, "MANIFEST_UNKNOWN")
    absent = f"library/other/blobs/{digest(b'absent')}"
    assert between.mirror.error(absent)[:2] == (404, "BLOB_UNKNOWN")
    assert "library/other" not in between.mirror.log.read_text()


@pytest.mark.parametrize("status", [405, 501])
def test_an_upstream_that_refuses_head_is_asked_with_get(between: Between, status: int) -> None:
    between.upstream.faults[""] = Fault(status, methods=("HEAD",))

    assert between.mirror.ask("HEAD", between.tag).status == 200
    assert between.mirror.ask("GET", between.manifest).data == between.image.manifest
    assert between.mirror.ask("HEAD", between.blob).status == 200
    for blob in between.image.blobs:
        path = f"{between.image.name}/blobs/{digest(blob)}"
        assert between.mirror.ask("GET", path).data == blob


def test_an_upstream_that_hangs_costs_less_than_a_node_waits(between: Between) -> None:
    """Also all requests together: none waits for the time-out of another one."""
    headers = {"Content-Type": MANIFEST, "Content-Length": "9"}
    between.upstream.faults["/v2/slow/"] = Fault(200, headers, stall=60)
    between.upstream.faults["/v2/hung"] = Fault(200, pause=60)
    names = ("slow/app", *(f"hung{n}/app" for n in range(4)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(between.mirror.error, (f"{name}/manifests/1" for name in names)))
    assert [status for status, _, _ in found] == [504] * len(names)
    assert "does not answer in time" in between.mirror.log.read_text()


def test_a_tag_that_is_cached_is_served_while_the_upstream_fails(between: Between) -> None:
    assert between.mirror.ask("GET", between.tag).status == 200
    between.upstream.faults[""] = Fault(500)
    assert between.mirror.ask("GET", between.tag).data == between.image.manifest
    assert between.mirror.ask("GET", between.manifest).data == between.image.manifest
