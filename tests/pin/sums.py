"""Checksums of the released programs of a version of Kubernetes.

They come from the project's server, or from a file of one of two forms:

- JSON `{"artifacts": {"kubelet": {"1.36.4": {"amd64": "…"}}}}`
- YAML of Kubespray (`roles/kubespray_defaults/vars/main/checksums.yml`):
  `kubelet_checksums: {amd64: {1.36.4: "sha256:…"}}`

A checksum is never guessed: a version without all of them has no `release` in the pins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from plexctl.errors import PlexError, UsageError

PROGRAMS = ("kubeadm", "kubelet", "kubectl")
ARCHITECTURES = ("amd64", "arm64")
SERVER = "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/{program}.sha256"
SECONDS = 20

Sums = dict[str, dict[str, str]]
"""program -> architecture -> SHA-256 in hex. Empty, or of all programs and architectures."""

_DIGEST = re.compile("[0-9a-f]{64}")


def published(version: str) -> Sums:
    """The checksums that the project publishes; none if its server cannot be reached."""
    found: Sums = {}
    for program in PROGRAMS:
        for arch in ARCHITECTURES:
            url = SERVER.format(version=version, arch=arch, program=program)
            try:
                with urlopen(url, timeout=SECONDS) as answer:
                    digest = answer.read(1000).decode().split()[0]
            except (URLError, OSError, ValueError, IndexError):
                return {}
            found.setdefault(program, {})[arch] = _checked(digest, url)
    return found


def of_file(file: Path, version: str) -> Sums:
    """The checksums of a version in a file. UsageError if it lacks one."""
    try:
        content = yaml.load(file.read_text(), yaml.CBaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read", details=(str(error),)) from error
    found: Sums = {}
    for program in PROGRAMS:
        for arch in ARCHITECTURES:
            digest = _digest(content, program, version, arch)
            if digest is None:
                raise UsageError(
                    f"{file} has no checksum of {program} {version} for {arch}",
                    hint="without --sums and without the project's server, the version is pinned "
                    "without `release`, and can only be built",
                )
            found.setdefault(program, {})[arch] = _checked(digest, str(file))
    return found


def _digest(content: Any, program: str, version: str, arch: str) -> str | None:
    places = (("artifacts", program, version, arch), (f"{program}_checksums", arch, version))
    for place in places:
        value = content
        for step in place:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            return value.removeprefix("sha256:")
    return None


def _checked(digest: str, source: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise PlexError(f"{source} has no SHA-256, but {digest[:80]!r}")
    return digest
