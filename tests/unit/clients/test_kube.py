"""The client for the hot path: reasons why an API does not answer, keys, and evictions."""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.http_session import url_session
from plexctl.clients.kube import client
from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import CertificateError, Kube, Pod, UnreachableError
from plexctl.clients.kube.state import CLAIMS, CLASSES, POLICIES, read_state
from plexctl.model.secret import Secret
from tests.fake_pve.tls import Certificate, self_signed

from .tls_server import Server, closed, deaf, serving

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


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_answers_times_out(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(client, "CONNECT", 0.1)
    monkeypatch.setattr(client, "READ", 0.1)
    with deaf() as port, pytest.raises(UnreachableError) as error:
        url = f"{scheme}://127.0.0.1:{port}"
        Kube(url, url_session(url)).nodes()
    assert error.value.details == ("timed out",)


def test_a_closed_port_refuses_the_connection() -> None:
    with closed() as port, pytest.raises(UnreachableError) as error:
        url = f"https://127.0.0.1:{port}"
        Kube(url, url_session(url)).nodes()
    assert error.value.details == ("Connection refused",)


def test_an_expired_certificate_names_the_clock() -> None:
    """`_ssl.c:992` helps nobody."""
    now = datetime.now(UTC)
    server = Server(certificate=self_signed(days=(-2, -1)))
    with (
        serving(server),
        client.connect(access_to(server)) as kube,
        pytest.raises(CertificateError) as error,
    ):
        kube.nodes()
    assert error.value.summary == f"the connection to the API at {server.url} is not trusted"
    assert error.value.details == (
        "certificate verify failed: certificate has expired; "
        f"this machine's clock says {now:%Y-%m-%d}",
    )


def test_a_refused_certificate_is_a_reason_of_its_own(server: Server) -> None:
    server.answers["/api/v1/nodes"] = (401, {"message": "Unauthorized"})
    with client.connect(access_to(server)) as kube, pytest.raises(CertificateError):
        kube.nodes()


def test_a_node_that_plexctl_drains_is_marked(server: Server) -> None:
    def node(name: str, annotations: dict[str, str], unschedulable: bool) -> dict[str, object]:
        return {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"unschedulable": unschedulable},
            "status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}},
        }

    items = [
        node("demo2", {"plexctl/draining": "true"}, True),
        node("demo3", {"mine": "yes"}, True),
    ]
    server.answers["/api/v1/nodes"] = (200, {"items": items})
    with client.connect(access_to(server)) as kube:
        found = [(one.name, one.unschedulable, one.draining) for one in kube.nodes()]
        assert kube.cordon("demo2")
        assert kube.uncordon("demo2")
    assert found == [("demo2", True, True), ("demo3", True, False)]
    assert [json.loads(body) for method, _, body in server.asked if method == "PATCH"] == [
        {
            "metadata": {"annotations": {"plexctl/draining": "true"}},
            "spec": {"unschedulable": True},
        },
        {"metadata": {"annotations": {"plexctl/draining": None}}, "spec": {"unschedulable": None}},
    ]


def test_keys_are_in_memory_files_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in /dev/shm outlived a process that was killed."""
    server.answers["/api/v1/nodes"] = (200, {"items": []})
    own = self_signed()
    loaded: list[str] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            loaded.extend(str(Path(file).readlink()) for file in (certfile, keyfile))
            super().load_cert_chain(certfile, keyfile, password)

    monkeypatch.setattr(ssl, "SSLContext", Context)
    with client.connect(access_to(server, own)) as kube:
        assert kube.nodes() == ()
        assert loaded == [MEMORY_FILE] * 2
        assert MEMORY_FILE not in _open_files()
        for folder in (Path("/dev/shm"), Path(tempfile.gettempdir())):
            files = [file for file in folder.glob("plexctl-*/*") if file.is_file()]
            assert own.key_pem.encode() not in [file.read_bytes() for file in files]


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


SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dkube-dns"
)


def test_only_ready_endpoints_of_a_service_count(server: Server) -> None:
    conditions: list[dict[str, Any]] = [{"ready": True}, {"ready": False}, {}]
    slices = [{"endpoints": [{"conditions": one} for one in conditions]}, {"endpoints": None}]
    server.answers[SLICES] = (200, {"items": slices})
    with client.connect(access_to(server)) as kube:
        assert kube.ready_endpoints("kube-system", "kube-dns") == 1


def test_the_state_of_a_cluster_names_objects_without_effect(server: Server) -> None:
    claim = {"metadata": {"namespace": "shop", "name": "data"}, "status": {"phase": "Pending"}}
    bound = {"metadata": {"namespace": "shop", "name": "old"}, "status": {"phase": "Bound"}}
    server.answers |= {
        "/api/v1/nodes": (200, {"items": []}),
        SLICES: (404, {}),
        f"{POLICIES}?limit=1": (200, {"items": [{}]}),
        f"{CLAIMS}?limit=100": (200, {"items": [bound, claim]}),
        f"{CLASSES}?limit=1": (200, {"items": []}),
    }
    assert read_state(access_to(server)).notes == (
        "NetworkPolicies exist, and the network plugin (ptp) does not enforce them",
        "PersistentVolumeClaims are Pending, and there is no storage class: shop/data",
    )
    server.answers |= {
        f"{POLICIES}?limit=1": (200, {"items": []}),
        f"{CLASSES}?limit=1": (200, {"items": [{}]}),
    }
    assert read_state(access_to(server)).notes == ()
    server.answers[f"{CLAIMS}?limit=100"] = (200, {"items": [bound]})
    assert read_state(access_to(server)).notes == ()
