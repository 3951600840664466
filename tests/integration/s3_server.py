"""A real server of S3, versitygw, which serves a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plexctl.depot.golang import go_environment

MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
ACCESS_KEY = "lab"
SECRET_KEY = "a-secret-of-tests"


def build(folder: Path) -> Path:
    """Build the server. That takes minutes on a cold machine."""
    env = go_environment() | {"CGO_ENABLED": "0", "GOBIN": str(folder)}
    subprocess.run(("go", "install", MODULE), env=env, check=True, timeout=900, capture_output=True)
    return folder / "versitygw"


@dataclass(frozen=True)
class S3Server:
    url: str
    ca: Path
    folder: Path  # with a folder for each bucket

    def objects(self, bucket: str) -> list[str]:
        files = (one for one in (self.folder / bucket).rglob("*") if one.is_file())
        return sorted(str(one.relative_to(self.folder / bucket)) for one in files)


@contextmanager
def serving(program: Path, folder: Path, address: str, bucket: str) -> Iterator[S3Server]:
    """Serve HTTPS at `address`, "10.0.0.1:7070", with a certificate of its own."""
    host = address.partition(":")[0]
    key, certificate, root = folder / "key.pem", folder / "ca.pem", folder / "buckets"
    (root / bucket).mkdir(parents=True)
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=s3",
         "-addext", f"subjectAltName=IP:{host}"),
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        (program, "--port", address, "--cert", certificate, "--key", key, "posix", root),
        env={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield S3Server(f"https://{address}", certificate, root)
    finally:
        server.kill()
        server.wait(60)
        log.close()
