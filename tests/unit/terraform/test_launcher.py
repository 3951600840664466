"""The provider as OpenTofu starts it: a program that prints where it listens."""

from __future__ import annotations

import base64
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tf.gen import grpc_controller_pb2 as controller_pb
from tf.gen import grpc_controller_pb2_grpc as controller
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from ...provider.mirror import INCUS, install_mirror

SECONDS = 60


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    install_mirror(tmp_path)
    return next(tmp_path.glob("mirror/*/lxc/incus/*/*/terraform-provider-incus_v*"))


@pytest.fixture
def running(launcher: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([launcher], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


def channel(process: subprocess.Popen[str]) -> grpc.Channel:
    assert process.stdout is not None
    *words, certificate = process.stdout.readline().strip().split("|")
    assert words[:3] == ["1", "6", "unix"]
    der = base64.b64decode(certificate + "=" * (-len(certificate) % 4))
    credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(der).encode())
    options = (("grpc.ssl_target_name_override", "localhost"),)
    return grpc.secure_channel(f"unix://{words[3]}", credentials, options)


def test_it_answers_after_an_interrupt_and_ends_on_request(running: subprocess.Popen[str]) -> None:
    with channel(running) as line:
        running.send_signal(signal.SIGINT)
        asked = rpc.ProviderStub(line).GetProviderSchema(
            pb.GetProviderSchema.Request(), timeout=SECONDS
        )
        controller.GRPCControllerStub(line).Shutdown(controller_pb.Empty(), timeout=SECONDS)

    assert "incus_instance" in asked.resource_schemas
    assert running.wait(SECONDS) == 0


STARTER = """
import os, subprocess, sys
launcher, kept = sys.argv[1], int(sys.argv[2])
child = subprocess.Popen([launcher], stdout=subprocess.PIPE, pass_fds=[kept])
child.stdout.readline()
os._exit(9)
"""


def test_it_ends_when_the_process_that_started_it_is_gone(launcher: Path) -> None:
    """Reading from a pipe ends when the provider, which has its other end, is gone too."""
    end, kept = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, launcher, str(kept)], pass_fds=[kept]
    )
    os.close(kept)

    assert process.wait(SECONDS) == 9
    with os.fdopen(end) as pipe:
        assert pipe.read() == ""


def test_the_mirror_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    first, second = (install_mirror(tmp_path / name) for name in "ab")
    files = [sorted(one.parent.rglob("terraform-provider-*")) for one in (first, second)]

    assert [one.read_bytes() for one in files[0]] == [one.read_bytes() for one in files[1]]
    assert all(os.access(one, os.X_OK) for one in files[0])
    assert str(first.parent / "mirror") in first.read_text()
    assert "direct" not in first.read_text()
    assert INCUS.version in str(files[0][0])
