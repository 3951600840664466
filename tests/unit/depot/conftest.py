"""A small set of pins, a folder of artifacts, and a server on loopback with a certificate."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plexctl.depot.components import KubernetesRelease, Pins, SourceName
from plexctl.depot.pins import load_pins
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from tests.unit.depot.support import CONTAINERD, KUBEADM, KUBELET, PINS, Recorder, Server, sha

LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def pins_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pins"
    for module in ("kubernetes", "containerd"):
        (folder / module).mkdir(parents=True)
        (folder / module / "go.mod").write_text(f"module plexctl/{module}\n\ngo 1.26.0\n")
        (folder / module / "go.sum").write_text("")
    text = PINS % {"containerd": sha(CONTAINERD), "kubeadm": sha(KUBEADM)}
    (folder / "pins.yaml").write_text(text)
    return folder


@pytest.fixture
def pins(pins_folder: Path) -> Pins:
    return load_pins(pins_folder, "amd64")


@pytest.fixture
def release(pins: Pins) -> KubernetesRelease:
    return pins.release("1.36.3")


@pytest.fixture
def reporter() -> Recorder:
    return Recorder()


@pytest.fixture
def local_folder(tmp_path: Path) -> Path:
    """A folder of artifacts that has the component kubernetes."""
    folder = tmp_path / "local_folder"
    (folder / "kubernetes").mkdir(parents=True)
    files = {"VERSION": b"1.36.3\n", "kubeadm": KUBEADM, "kubelet": KUBELET}
    for name, content in files.items():
        (folder / "kubernetes" / name).write_bytes(content)
    sums = [f"{sha(content)}  kubernetes/{name}\n" for name, content in files.items()]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


@pytest.fixture
def folder_depot(tmp_path: Path, local_folder: Path) -> Depot:
    return Depot(tmp_path / "depot", Sources(folder=local_folder, allowed=(SourceName.DIR,)))


@pytest.fixture
def server(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    site: Server

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.command, self.path, dict(self.headers)))
            page = site.pages.get(self.path, (404, {}, b""))
            status, headers, content = (200, {}, page) if isinstance(page, bytes) else page
            token = headers.get("X-Needs-Token")
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                challenge = 'Bearer realm="https://auth.k8s.io/token",service="k",scope="pull"'
                status, headers, content = 401, {"WWW-Authenticate": challenge}, b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    key, ca = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    site = Server(f"https://127.0.0.1:{http.server_port}", ca)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a key and of its self-signed certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "key.pem", folder / "ca.pem"
