"""DNS is queried by a program that any node can run."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from plexctl.bootstrap.dns import SCRIPT

from ..clients.tls_server import closed

NAME, ADDRESS = "kubernetes.default.svc.lab.test", "10.98.160.1"
BYTES = os.getpid().to_bytes(4, "big")[1:]
SERVER = f"127.{BYTES[0] + 53}.{BYTES[1]}.{BYTES[2]}"
"""Of this process alone: tests run in several at the same time."""


@contextmanager
def server(known: str, *, ignored: int = 0) -> Iterator[str]:
    """A DNS server of one name at its own address, port 53; it ignores the first queries."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((SERVER, 53))
        heard: list[bytes] = []

        def serve() -> None:
            while True:
                question, client = listening.recvfrom(512)
                if not question:
                    return
                heard.append(question)
                if len(heard) <= ignored:
                    continue
                name = b"".join(bytes([len(one)]) + one.encode() for one in known.split("."))
                found = question[12:].startswith(name + b"\0")
                flags = 0x8180 if found else 0x8183
                head = question[:2] + struct.pack(">HHHHH", flags, 1, int(found), 0, 0)
                record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(ADDRESS)
                listening.sendto(head + question[12:] + (record if found else b""), client)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield SERVER
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (SERVER, 53))
            serving.join()


def query(server: str, port: int = 0, seconds: float = 5) -> subprocess.CompletedProcess[str]:
    words = (server, NAME, ADDRESS, str(port), str(seconds))
    command = (sys.executable, "-ISc", SCRIPT, *words)
    return subprocess.run(command, check=False, capture_output=True, text=True)


needs_port = pytest.mark.skipif("__import__('os').geteuid() != 0", reason="port 53 is for root")


@needs_port
def test_a_query_is_repeated_until_it_is_answered() -> None:
    with server(NAME, ignored=3) as address:
        assert query(address, seconds=60).returncode == 0


@needs_port
def test_a_server_that_does_not_know_the_domain_does_not_count() -> None:
    with server("kubernetes.default.svc.cluster.local") as address:
        for _ in range(20):
            done = query(address, seconds=0.3)
            if "timed out" not in done.stderr:  # a busy machine may answer too late
                break
    assert (done.returncode, done.stderr) == (1, f"{address} does not know {NAME} (code 3)\n")


def test_no_server() -> None:
    done = query("127.0.53.2", seconds=0.3)
    assert done.returncode == 1
    assert "127.0.53.2" in done.stderr


def test_no_query_is_sent_before_kube_proxy_runs() -> None:
    with closed() as port:
        done = query("127.0.53.2", port, seconds=0.3)
    assert done.stderr == "kube-proxy does not run\n"
