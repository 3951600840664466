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
    """Secrets that must not leak: the CA key, a bootstrap token, the key of the state."""
    incus = host()
    authority = incus.instances.pull(f"{plex}1", "/etc/kubernetes/pki/ca.key")
    body = authority.split(b"\n")[1]
    listed = incus.execute(
        f"{plex}1",
        (
            *("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"),
            *("get", "secrets", "-n", "kube-system", "-o", "json"),
        ),
    ).stdout
    tokens = [
        base64.b64decode(one["data"]["token-secret"])
        for one in json.loads(listed)["items"]
        if one["type"] == "bootstrap.kubernetes.io/token"
    ]
    answer = lab.run("engine", "tofu", plex, "--key").out.splitlines()[1]
    key = json.loads(answer)["keys"]["encryption_key"].encode()
    identity = next((lab.home / "plexctl").glob("*.key")).read_bytes().split()[-1]
    found = [body, base64.b64encode(body)[:40], key, identity, *tokens]
    assert all(len(one) > 12 for one in found)
    assert tokens
    return found
