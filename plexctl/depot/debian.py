"""Programs with their libraries from the packages of this machine's Debian or Ubuntu."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from plexctl.clients import process
from plexctl.clients.environment import NETWORK, environment
from plexctl.depot.archive import Entry

MERGED = ("bin", "lib", "lib64", "sbin")
"""Links to the folders of the same name below usr; some packages still use the links."""

_HINT = "refresh the package lists with `apt-get update`"


def unpack(packages: Sequence[str], folder: Path) -> tuple[Entry, ...]:
    """Fetch `packages` and all their dependencies, verified by apt, as entries of an image layer.

    Resolved as if nothing were installed. Unpacked into `folder`.
    """
    archives, root = folder / "archives", folder / "root"
    archives.mkdir(parents=True)
    root.mkdir()
    # As root, apt fetches as the user _apt, which cannot write into a private folder.
    sandbox = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    process.run(
        ("apt-get", *sandbox, "-q", "download", *closure(packages)),
        timeout=600,
        env=environment(NETWORK),
        cwd=archives,
        hint=_HINT,
    )
    for archive in sorted(archives.glob("*.deb")):
        process.run(("dpkg-deb", "--extract", archive, root), timeout=120)
    return tuple(_entries(root))


def closure(packages: Sequence[str]) -> tuple[str, ...]:
    """`packages` and all their dependencies on an empty system, each as name=version."""
    asked = process.run(
        (
            *("apt-get", "-o", "Dir::State::status=/dev/null", "-q", "-y"),
            *("--no-install-recommends", "--print-uris", "install", *packages),
        ),
        timeout=120,
        env=environment(NETWORK),
        hint=_HINT,
    )
    # 'http://…' libgmp10_2%3a6.2.1-1_amd64.deb 562588 SHA256:…
    files = [line.split()[1] for line in asked.stdout.splitlines() if line.startswith("'")]
    parts = [file.split("_") for file in files]
    return tuple(sorted(f"{name}={unquote(version)}" for name, version, _ in parts))


def _entries(root: Path) -> Iterator[Entry]:
    for name in MERGED:
        yield Entry(name, link=f"usr/{name}")
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if (name.startswith("usr/share/") and path.name != "copyright") or "/gconv/" in name:
            continue
        if name.split("/")[0] in MERGED:
            name = f"usr/{name}"
        if path.is_symlink():
            yield Entry(name, link=str(path.readlink()))
        elif path.is_file():
            yield Entry(name, path, mode=path.stat().st_mode & 0o7777)
