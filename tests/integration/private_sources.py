"""Sources of apps over HTTPS that ask for a name and a token: git, and a registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fake_pve.tls import Certificate, self_signed

Answer = tuple[int, dict[str, str], bytes]
P256 = ec.SECP256R1()


class Content(Protocol):
    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        """Status, headers and body."""


@dataclass
class PrivateSources:
    """A server with a certificate of its own, which only answers `user` with `token`."""

    address: str
    user: str
    token: str
    certificate: Certificate
    port: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    def admits(self, authorization: str | None) -> bool:
        login = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        return authorization == f"Basic {login}"


@contextmanager
def private_sources(
    content: Content, address: str, user: str, token: str
) -> Iterator[PrivateSources]:
    """Serve until the block ends."""
    sources = PrivateSources(address, user, token, self_signed(address))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            refused: Answer = HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Basic"}, b""
            status, headers, answer = refused
            if sources.admits(self.headers.get("Authorization")):
                status, headers, answer = content.answer(self, body)
            sources.statuses[status] += 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_HEAD = do_GET  # noqa: N815 - the names that the library looks for

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.daemon_threads = True
        context = sources.certificate.context()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        sources.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sources
        finally:
            server.shutdown()


@dataclass(frozen=True)
class Git:
    """A handler that lets git itself answer for the repositories in a folder."""

    folder: Path

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        path, _, query = asked.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": asked.command,
            "CONTENT_TYPE": asked.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": asked.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env=environment, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        pairs = (line.partition(": ") for line in head.decode().splitlines())
        headers = {name: value for name, _, value in pairs}
        return int(headers.pop("Status", "200").split()[0]), headers, content


@dataclass(frozen=True)
class Behind:
    """A handler that forwards to a registry that anyone may read."""

    url: str
    ca: Path

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        accept = {"Accept": asked.headers.get("Accept", "*/*"), "Accept-Encoding": "identity"}
        found = requests.request(
            asked.command,
            f"{self.url}{asked.path}",
            headers=accept,
            verify=str(self.ca),
            timeout=30,
        )
        kept = ("Content-Type", "Content-Length", "Docker-Content-Digest")
        headers = {name: found.headers[name] for name in kept if name in found.headers}
        return found.status_code, headers, found.content


@dataclass
class Signed:
    """The same registry with cosign's signature of an artifact, once `sign` has made it."""

    behind: Behind
    repository: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(P256))
    _own: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by path

    @property
    def public(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, digest: str) -> None:
        """As `cosign sign --key` does it, without a transparency log; `digest` begins "sha256:"."""
        image = {"docker-manifest-digest": digest}
        identity = {"docker-reference": self.repository}
        kind = "cosign container image signature"
        critical = {"identity": identity, "image": image, "type": kind}
        payload = json.dumps({"critical": critical, "optional": None}).encode()
        signature = base64.b64encode(self.key.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
        config = self._blob("application/vnd.oci.image.config.v1+json", b"{}")
        layer = self._blob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
        layer["annotations"] = {"dev.cosignproject.cosign/signature": signature}
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
        tag = f"{digest.replace(':', '-')}.sig"
        self._own[f"/v2/{self.repository}/manifests/{tag}"] = kind, json.dumps(manifest).encode()

    def _blob(self, kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._own[f"/v2/{self.repository}/blobs/{digest}"] = kind, content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def answer(self, asked: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if asked.path not in self._own:
            return self.behind.answer(asked, body)
        kind, content = self._own[asked.path]
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        headers = {"Content-Type": kind, "Docker-Content-Digest": digest}
        headers["Content-Length"] = str(len(content))
        return 200, headers, b"" if asked.command == "HEAD" else content
