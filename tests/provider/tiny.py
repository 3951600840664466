"""The smallest image that an Incus server starts: one program that waits for the end."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import time
from pathlib import Path

from plexctl.depot.pins import machine_architecture

from .incus.client import NotFoundError, Server

_INIT = """package main

import (
	"os"
	"os/signal"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended)
	for range ended {
	}
}
"""
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_FOLDERS = ("dev", "etc", "proc", "run", "sbin", "sys", "tmp", "var", "var/lib", "var/lib/plexctl")


def tiny_image(server: Server, alias: str, folder: Path) -> None:
    """Have an image of that alias on the server; one of that name is replaced."""
    remove_image(server, alias)
    done = server.call(
        "POST",
        ("images",),
        _archive(alias, folder),
        headers={"Content-Type": "application/octet-stream", "X-Incus-filename": "tiny.tar.gz"},
    )
    fingerprint = done["fingerprint"]
    server.call("POST", ("images", "aliases"), {"name": alias, "target": fingerprint})


def remove_image(server: Server, alias: str) -> None:
    try:
        fingerprint = server.get("images", "aliases", alias)["target"]
    except NotFoundError:
        return
    server.call("DELETE", ("images", fingerprint))


def _archive(alias: str, folder: Path) -> bytes:
    source = folder / "init.go"
    source.write_text(_INIT)
    subprocess.run(
        ["go", "build", "-ldflags=-s -w", "-o", folder / "init", source],
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GO111MODULE": "off"},
        check=True,
        timeout=300,
    )
    architecture = _ARCHITECTURES[machine_architecture()]
    about = (
        f"architecture: {architecture}\n"
        f"creation_date: {int(time.time())}\n"
        f"properties: {{description: {alias}}}\n"  # no two images may be the same
    )
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        _add(tar, "metadata.yaml", about.encode(), 0o644)
        for name in ("", *_FOLDERS):
            entry = tarfile.TarInfo(f"rootfs/{name}".rstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, "rootfs/sbin/init", (folder / "init").read_bytes(), 0o755)
    return gzip.compress(written.getvalue(), 1)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
