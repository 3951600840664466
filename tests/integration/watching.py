"""Observe what a run exposes to other users: its files, arguments and environments."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .support import Lab, files_below, host


@dataclass
class Observation:
    """All files of a folder and all that processes showed, as they were at some time."""

    files: dict[str, bytes] = field(default_factory=dict)
    processes: set[bytes] = field(default_factory=set)


@contextmanager
def watched(folder: Path) -> Iterator[Observation]:
    """Look again and again until the block ends; no process but OpenTofu's and ours counts."""
    seen, over = Observation(), threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for file in files_below(folder):
                with suppress(OSError):
                    if file.is_file() and ".terraform/" not in str(file):
                        seen.files[str(file)] = file.read_bytes()
            for entry in Path("/proc").iterdir():
                with suppress(OSError):
                    shown = (entry / "cmdline").read_bytes()
                    if b"tofu" in shown or b"terraform" in shown:
                        seen.processes |= {shown, (entry / "environ").read_bytes()}

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def known_secrets(lab: Lab, plex: str) -> list[bytes]:
    """Secrets that must not leak: two keys of the cluster, and those of the state and the seed."""
    incus = host()
    keys = [
        incus.instances.pull(f"{plex}1", f"/etc/kubernetes/pki/{name}.key").split(b"\n")[1]
        for name in ("ca", "sa")
    ]
    answer = lab.run("engine", "tofu", plex, "--key").out.splitlines()[1]
    key = json.loads(answer)["keys"]["encryption_key"].encode()
    identity = next((lab.home / "plexctl").glob("*.key")).read_bytes().split()[-1]
    found = [*keys, *(base64.b64encode(one)[:40] for one in keys), key, identity]
    assert all(len(one) > 12 for one in found)
    return found
