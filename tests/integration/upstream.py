"""A registry of the world, as far as a cache in front of it can tell: it counts who asks."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from plexctl.depot.pins import machine_architecture

TAG = "1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Image:
    name: str  # "library/cargo"
    manifest: bytes
    blobs: tuple[bytes, ...]  # its configuration, its layer


@dataclass(frozen=True)
class Fault:
    """An answer instead of content. Status 0: the connection ends without an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    methods: tuple[str, ...] = ("GET", "HEAD")
    pause: float = 0.0  # seconds before the status
    stall: float = 0.0  # seconds before the body


class Upstream:
    """Images `name`:TAG, each with a layer of `size` bytes that cannot be compressed."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()  # "GET /v2/…": how often
        self.faults: dict[str, Fault] = {}  # by the beginning of a path
        self.answers: dict[str, tuple[str, bytes]] = {}  # path -> content type, content
        self.over = threading.Event()  # ends all pauses
        self._lock = threading.Lock()

    def have(self, name: str, size: int = 4 << 20) -> Image:
        image = Image(name, *_contents(name, size))
        prefix = f"/v2/{name}"
        for reference in (TAG, digest(image.manifest)):
            self.answers[f"{prefix}/manifests/{reference}"] = (MANIFEST, image.manifest)
        for blob in image.blobs:
            kind = "application/octet-stream"
            self.answers[f"{prefix}/blobs/{digest(blob)}"] = (kind, blob)
        return image

    def count(self, line: str) -> None:
        with self._lock:
            self.asked[line] += 1

    def fault(self, path: str) -> Fault | None:
        """The fault of a manifest or blob."""
        if path == "/v2/":
            return None
        return next((one for start, one in self.faults.items() if path.startswith(start)), None)

    def of(self, image: Image) -> dict[str, int]:
        """How often it was asked for what of an image."""
        return {line: n for line, n in self.asked.items() if f"/{image.name}/" in line}


@contextmanager
def serving(upstream: Upstream, address: str, port: int = 0) -> Iterator[int]:
    """Serve until the block ends; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            upstream.count(f"{self.command} {path}")
            fault = upstream.fault(path)
            if fault and self.command in fault.methods:
                self.fail(fault)
                return
            kind, content = upstream.answers.get(path, ("application/json", b"{}"))
            self.send_response(200 if path in upstream.answers or path == "/v2/" else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", digest(content))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def fail(self, fault: Fault) -> None:
            self.close_connection = True
            upstream.over.wait(fault.pause)
            if not fault.status:
                return
            self.send_response(fault.status)
            for name, value in {"Content-Length": str(len(fault.body)), **fault.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            upstream.over.wait(fault.stall)
            if self.command != "HEAD":
                self.wfile.write(fault.body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((address, port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _contents(name: str, size: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The manifest of an image, its configuration and its layer."""
    seeds = (f"{name} {n}".encode() for n in range(size // 32))
    content = b"".join(hashlib.sha256(seed).digest() for seed in seeds)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("cargo")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    layer = gzip.compress(archive.getvalue(), 1, mtime=0)
    config = json.dumps(
        {
            "architecture": machine_architecture(),
            "os": "linux",
            "config": {"Cmd": ["/cargo"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(archive.getvalue())]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
    }
    return json.dumps(manifest).encode(), (config, layer)


def _descriptor(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
