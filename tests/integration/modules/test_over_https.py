"""A plex on two hosts, one of which is asked over HTTPS."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...provider.incus.client import Server
from ...provider.tofu import Tofu
from .plex import MASTER, NAME, PROFILE, WORKER, clean, instances, variables


@pytest.fixture
def https(server: Server, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The local Incus over HTTPS: its address, and a client's folder that both sides trust."""
    before = server.get()["config"].get("core.https_address", "")
    port = before.rpartition(":")[2] or str(free_port())
    if not before:
        settings = {"config": {"core.https_address": f"127.0.0.1:{port}"}}
        server.call("PATCH", (), settings)
    folder = tmp_path / "client"
    (folder / "servercerts").mkdir(parents=True)
    pinned = folder / "servercerts" / "second.crt"
    pinned.write_text(server.get()["environment"]["certificate"])
    der = client_certificate(folder)
    trust = {"name": NAME, "type": "client", "certificate": base64.b64encode(der).decode()}
    server.call("POST", ("certificates",), trust)
    try:
        yield f"https://127.0.0.1:{port}", folder
    finally:
        clean(server)
        server.call("DELETE", ("certificates", hashlib.sha256(der).hexdigest()))
        if not before:
            server.call("PATCH", (), {"config": {"core.https_address": ""}})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def client_certificate(folder: Path) -> bytes:
    """A key and a certificate in `folder`, as the command `incus` has them; the latter as DER."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-subj", f"/CN={NAME}", "-days", "2"]
    subprocess.run(
        [*words, "-keyout", folder / "client.key", "-out", folder / "client.crt"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return ssl.PEM_cert_to_DER_cert((folder / "client.crt").read_text())


def over_https(tofu: Tofu, address: str, folder: Path) -> dict[str, Any]:
    """A master on the socket and a worker on the same server by another name, over HTTPS."""
    wanted = variables(tofu, 2)
    wanted |= {"config_dir": str(folder)}
    wanted["hosts"]["second"] = {"address": address}
    profile = wanted["profiles"][PROFILE] | {"host": "second", "name": f"{NAME}-far"}
    wanted["profiles"]["second/far"] = profile
    wanted["instances"][WORKER[0]] |= {"host": "second", "profile": "second/far"}
    return wanted


def test_one_plex_on_two_hosts(tofu: Tofu, server: Server, https: tuple[str, Path]) -> None:
    tofu.write(over_https(tofu, *https))

    tofu.run("apply", "-auto-approve")

    assert server.get("instances", WORKER[0])["profiles"] == [f"{NAME}-far"]
    assert tofu.is_done()
    output = json.loads(tofu.run("output", "-json", "instances").out)
    assert {name: one["host"] for name, one in output.items()} == {
        MASTER: "local",
        WORKER[0]: "second",
    }
    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}


def test_a_host_with_another_certificate(
    tofu: Tofu, server: Server, https: tuple[str, Path]
) -> None:
    address, folder = https
    own = (folder / "client.crt").read_text()
    (folder / "servercerts" / "second.crt").write_text(own)
    tofu.write(over_https(tofu, address, folder))

    answer = tofu.run("apply", "-auto-approve", code=1)

    output = " ".join(answer.err.replace("│", " ").split())
    assert f"second at {address}: [SSL: CERTIFICATE_VERIFY_FAILED]" in output
    assert instances(server).keys() <= {MASTER}
