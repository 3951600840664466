"""The client for the hot path: reasons why an API does not answer, keys, and evictions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from plexctl.clients.kube import client
from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import Kube, Pod, UnreachableError
from plexctl.model.secret import Secret
from tests.fake_pve.tls import Certificate, self_signed

from .tls_server import Server, deaf, serving

POD = Pod("shop", "web", "demo2", "Running", True, "ReplicaSet")
MEMORY_FILE = "/memfd:plexctl (deleted)"
EVICTION = "/api/v1/namespaces/shop/pods/web/eviction"


def access_to(server: Server, own: Certificate | None = None) -> ApiAccess:
    own = own or self_signed()
    key = Secret(own.key_pem.encode())
    return ApiAccess(server.url, server.certificate.pem.encode(), own.pem.encode(), key)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


def test_a_server_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "READ", 0.1)
    with deaf() as port, pytest.raises(UnreachableError) as error:
        Kube(f"http://127.0.0.1:{port}", requests.Session()).nodes()
    assert error.value.details == ("timed out",)


def test_a_closed_port_refuses_the_connection() -> None:
    with deaf() as port:
        pass
    with pytest.raises(UnreachableError) as error:
        Kube(f"http://127.0.0.1:{port}", requests.Session()).nodes()
    assert error.value.details == ("Connection refused",)


def test_keys_are_in_memory_files_only(server: Server) -> None:
    """Files in /dev/shm outlived a process that was killed."""
    server.answers["/api/v1/nodes"] = (200, {"items": []})
    own = self_signed()
    with client.connect(access_to(server, own)) as kube:
        assert kube.nodes() == ()
        assert MEMORY_FILE in _open_files()
        for folder in (Path("/dev/shm"), Path(tempfile.gettempdir())):
            files = [file for file in folder.glob("plexctl-*/*") if file.is_file()]
            assert own.key_pem.encode() not in [file.read_bytes() for file in files]
    assert MEMORY_FILE not in _open_files()


def _open_files() -> set[str]:
    found = set[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


def test_another_authority_is_not_trusted(server: Server) -> None:
    stranger = Server(certificate=self_signed(), port=server.port)
    with client.connect(access_to(stranger)) as kube, pytest.raises(UnreachableError) as error:
        kube.nodes()
    assert "certificate verify failed" in error.value.details[0]


@pytest.mark.parametrize(
    ("code", "answer", "left"),
    [
        (201, {}, True),
        (404, {"message": "not found"}, True),
        (429, {"message": "Cannot evict pod as it would violate the disruption budget"}, False),
        (403, {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}, False),
    ],
)
def test_an_eviction_is_retried_as_kubectl_does(
    server: Server, code: int, answer: dict[str, object], left: bool
) -> None:
    server.answers[EVICTION] = (code, answer)
    with client.connect(access_to(server)) as kube:
        assert kube.evict(POD) is left


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (403, 'pods "web" is forbidden'),
        (500, "This pod has more than one PodDisruptionBudget"),
    ],
)
def test_an_eviction_that_can_never_succeed_is_an_error(
    server: Server, code: int, message: str
) -> None:
    server.answers[EVICTION] = (code, {"message": message})
    with client.connect(access_to(server)) as kube, pytest.raises(UnreachableError) as error:
        kube.evict(POD)
    assert error.value.details == (message,)


def test_the_controller_of_a_pod_is_not_any_owner(server: Server) -> None:
    owners = [
        {"kind": "ConfigMap", "name": "a"},
        {"kind": "DaemonSet", "name": "b", "controller": True},
    ]
    pod = {
        "metadata": {"namespace": "shop", "name": "web", "ownerReferences": owners},
        "spec": {},
        "status": {},
    }
    server.answers["/api/v1/pods?fieldSelector=spec.nodeName%3Ddemo2"] = (200, {"items": [pod]})
    with client.connect(access_to(server)) as kube:
        assert [one.controller for one in kube.pods(node="demo2")] == ["DaemonSet"]
