"""The folder that OpenTofu runs in: modules, variables, boot files and state of one plex."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plexctl.clients.tofu import STATE, Tofu
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Reporter
from plexctl.model.files import write_changed, write_private

VARIABLES = "terraform.tfvars.json"
IMPORTS = "imports.tf.json"
MARK = "modules.sha256"
LOCK = ".terraform.lock.hcl"
END_SECONDS = 180
"""How long an OpenTofu may still run whose plexctl was killed."""
EVERY = 0.2


@dataclass(frozen=True, slots=True)
class TofuFolder:
    """Private: 0700. A user may delete it at any time, as the hosts have what counts."""

    path: Path
    name: str = "incus"  # of the root module, and of its folder below `path`
    locks: Path | None = None  # folder with the lab's locks of providers; None: there are none

    @property
    def root(self) -> Path:
        return self.path / self.name

    @property
    def boot(self) -> Path:
        return self.path / "boot"

    def open(self) -> None:
        """Create the folder, readable only by its owner."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        self.root.mkdir(exist_ok=True)

    def write(self, modules: Path, variables: Mapping[str, Any], tofu: Tofu) -> None:
        """Write modules and variables, and install the providers, where anything has changed."""
        write_changed(self.root / VARIABLES, _json(variables), 0o600)
        (self.root / IMPORTS).unlink(missing_ok=True)
        mark = f"{_digest(modules)} {tofu.program} {self.name}"
        lock, marked = self._lock(tofu), self.path / MARK
        if marked.exists() and marked.read_text() == _marked(mark, lock) and tofu.has_providers():
            return
        marked.unlink(missing_ok=True)
        for file in self.root.glob("*.tf"):
            file.unlink()
        shutil.rmtree(self.path / "modules", ignore_errors=True)
        shutil.copytree(modules / "modules", self.path / "modules")
        shutil.copytree(modules / self.name, self.root, dirs_exist_ok=True)
        own = self.root / LOCK
        own.unlink(missing_ok=True)
        if lock and lock.exists():
            write_private(own, lock.read_bytes())
        tofu.init()
        if lock and own.exists():
            write_changed(lock, own.read_bytes())
        write_private(marked, _marked(mark, lock).encode())

    def _lock(self, tofu: Tofu) -> Path | None:
        """The lab's lock. OpenTofu and Terraform lock a provider under different addresses."""
        return self.locks and self.locks / f"{tofu.program.name}-{self.name}.lock.hcl"

    def write_boot(self, files: Mapping[Path, bytes]) -> None:
        """Write the files that nodes boot with, and delete all others in `boot`. They hold keys."""
        self.boot.mkdir(exist_ok=True, mode=0o700)
        for file in set(self.boot.iterdir()) - files.keys():
            file.unlink()
        for file, content in files.items():
            write_changed(file, content, 0o600)

    def drop_boot(self) -> None:
        shutil.rmtree(self.boot, ignore_errors=True)

    def write_imports(self, blocks: list[dict[str, str]]) -> None:
        write_changed(self.root / IMPORTS, _json({"import": blocks}), 0o600)

    def drop_imports(self) -> None:
        (self.root / IMPORTS).unlink(missing_ok=True)

    def put_state_aside(self) -> None:
        """Rename a state that cannot be read."""
        (self.root / STATE).replace(self.root / f"{STATE}.unreadable")

    def wait_until_free(self, reporter: Reporter) -> bool:
        """Wait until no OpenTofu runs here: one may outlive the plexctl that started it.

        True if one ran. PlexError if it does not end.
        """
        if not self._is_locked():
            return False
        with reporter.step("wait until OpenTofu of an interrupted run ends"):
            wait(
                Condition(
                    f"OpenTofu in {self.root} ends",
                    lambda: Observation(not self._is_locked()),
                    END_SECONDS,
                    every=EVERY,
                    hint="end that process, and run the command again",
                )
            )
        return True

    def _is_locked(self) -> bool:
        """Whether another process has OpenTofu's lock on the state."""
        try:
            with (self.root / STATE).open("r+b") as state:
                fcntl.lockf(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def _marked(mark: str, lock: Path | None) -> str:
    locked = hashlib.sha256(lock.read_bytes()).hexdigest() if lock and lock.exists() else "-"
    return f"{mark} {locked}\n"


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
