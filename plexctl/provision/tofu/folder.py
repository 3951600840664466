"""The folder that OpenTofu runs in: modules, variables, boot files and state of one plex."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, Union

from plexctl.clients.tofu import KNOWN, STATE, Tofu
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Reporter
from plexctl.model.folder import Folder, lab_file
from plexctl.model.secret import Secret
from plexctl.provision.tofu.encryption import FILE as ENCRYPTION

VARIABLES = "terraform.tfvars.json"
IMPORTS = "imports.tf.json"
BOOT = "boot"
MARK = "installed.mac"
LOCK = ".terraform.lock.hcl"
UNREADABLE = f"{STATE}.unreadable"
KEPT = (STATE, f"{STATE}.backup", f".{STATE}.lock.info", "errored.tfstate", UNREADABLE, KNOWN)
"""What stays in the folder from one run to the next, beside modules. All are regular files."""
WRITTEN = (VARIABLES, ENCRYPTION)
"""Files that are written, or deleted, before OpenTofu loads them."""
INSTALLED = (".terraform", LOCK)
"""What `init` of OpenTofu writes."""
SMALL = 1 << 16
"""Bytes of a file whose content is compared."""
END_SECONDS = 180
"""How long an OpenTofu may still run whose plexctl was killed."""
EVERY = 0.2

Tree: TypeAlias = Mapping[str, Union[bytes, "Tree"]]
"""Files by name, and folders with their own files."""


@dataclass(frozen=True, slots=True)
class TofuFolder:
    """A private folder. A user may delete it at any time, as the hosts have what counts."""

    folder: Folder
    name: str = "incus"  # of the root module, and of its folder below `folder`
    locks: Path | None = None  # the lab, with its locks of providers; None: there are none

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def files(self) -> Folder:
        """The folder that OpenTofu runs in."""
        return self.folder.below(self.name)

    @property
    def root(self) -> Path:
        return self.files.path

    @property
    def boot(self) -> Path:
        return self.path / BOOT

    def prepare(self, modules: Path, program: Path, key: Secret) -> None:
        """Write the modules, and delete everything in the folder that plexctl did not write.

        OpenTofu loads every file here that has an ending of its own (x.tf.json, x_override.tf,
        main.tofu, x.auto.tfvars), and modules from where `.terraform` says. Each can run programs.
        So what OpenTofu installed is kept only with a mark, which `key` makes: the digest of all
        of it. Must be called before OpenTofu is.
        """
        _write_tree(self.folder.below("modules"), _tree(modules / "modules"))
        own = _tree(modules / self.name)
        _write_tree(self.files, own, keep={*KEPT, *WRITTEN, *INSTALLED})
        kept = self.files.files()
        for name in self.files.names():  # a link or a folder has the name of a file of ours
            if name not in kept and name != INSTALLED[0] and name not in own:
                self.files.delete(name)
        mark = self.folder.read(MARK)
        if mark is None or mark != self._mark(modules, program, key):
            self.folder.delete(MARK)
            for name in INSTALLED:
                self.files.delete(name)

    def write(self, modules: Path, variables: Mapping[str, Any], tofu: Tofu, key: Secret) -> None:
        """Write variables, and install the providers unless they are. `prepare` was called."""
        self.files.write_changed(VARIABLES, _json(variables), 0o600)
        self.drop_imports()
        if self.folder.read(MARK) is not None and tofu.has_providers():
            return
        self.folder.delete(MARK)
        self.files.delete(LOCK)
        lock = self._lock(tofu.program)
        if lock and (locked := lock[0].read(lock[1])) is not None:
            self.files.write(LOCK, locked, 0o600)
        tofu.init()
        if lock and (own := self.files.read(LOCK)) is not None:
            lock[0].write_changed(lock[1], own)
        self.folder.write(MARK, self._mark(modules, tofu.program, key), 0o600)

    def _lock(self, program: Path) -> tuple[Folder, str] | None:
        """The lab's lock. OpenTofu and Terraform lock a provider under different addresses."""
        if self.locks is None:
            return None
        return lab_file(self.locks, self.locks / f"{program.name}-{self.name}.lock.hcl")

    def _mark(self, modules: Path, program: Path, key: Secret) -> bytes:
        """A mark that OpenTofu installed this folder. It cannot be forged without `key`."""
        lock = self._lock(program)
        parts = (
            str(program),
            self.name,
            *(f"{name} {_sha256(data)}" for name, data in _flat(_tree(modules / "modules"))),
            *(f"{name} {_sha256(data)}" for name, data in _flat(_tree(modules / self.name))),
            _sha256(lock[0].read(lock[1]) if lock else None),
            _sha256(self.files.read(LOCK)),
            *_installed(self.root / INSTALLED[0]),
        )
        return hmac.new(key.reveal(), json.dumps(parts).encode(), "sha256").hexdigest().encode()

    def write_boot(self, files: Mapping[Path, bytes]) -> None:
        """Write the files that nodes boot with, and delete all others in `boot`. They hold keys."""
        assert all(file.parent == self.boot for file in files), self.boot
        _write_tree(self.folder.below(BOOT), {file.name: data for file, data in files.items()})

    def drop_boot(self) -> None:
        self.folder.delete(BOOT)

    def write_imports(self, blocks: list[dict[str, str]]) -> None:
        self.files.write_changed(IMPORTS, _json({"import": blocks}), 0o600)

    def drop_imports(self) -> None:
        self.files.delete(IMPORTS)

    def put_state_aside(self) -> None:
        """Rename a state that cannot be read."""
        state = self.files.read(STATE)
        if state is not None:
            self.files.write(UNREADABLE, state, 0o600)
        self.files.delete(STATE)

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
        if STATE not in self.files.files():
            return False
        try:
            with (self.root / STATE).open("r+b") as state:
                fcntl.lockf(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _sha256(data: bytes | None) -> str:
    return "-" if data is None else hashlib.sha256(data).hexdigest()


def _tree(source: Path) -> Tree:
    """The files of plexctl's own folder `source`."""
    return {
        one.name: _tree(one) if one.is_dir() else one.read_bytes()
        for one in sorted(source.iterdir())
    }


def _flat(tree: Tree, above: str = "") -> Iterator[tuple[str, bytes]]:
    for name, content in tree.items():
        if isinstance(content, bytes):
            yield f"{above}{name}", content
        else:
            yield from _flat(content, f"{above}{name}/")


def _write_tree(folder: Folder, tree: Tree, keep: Collection[str] = ()) -> None:
    """Write the files of `tree`, and delete all others except those in `keep`."""
    folder.create()
    for name in folder.names():
        if name not in tree and name not in keep:
            folder.delete(name)
    for name, content in tree.items():
        if isinstance(content, bytes):
            if name not in folder.files():
                folder.delete(name)  # it is a link or a folder
            folder.write_changed(name, content, 0o600)
        else:
            _write_tree(folder.below(name), content)


def _installed(folder: Path) -> Iterator[str]:
    """A line for each file and link of what OpenTofu installed. No link is followed.

    A provider is large: its size and time of modification stand for it, and OpenTofu compares its
    digest with the lock file.
    """
    for at, folders, names in os.walk(folder):
        for name in sorted((*folders, *names)):
            file = Path(at, name)
            found = file.lstat()
            if stat.S_ISLNK(found.st_mode):
                content = f"-> {file.readlink()}"
            elif not stat.S_ISREG(found.st_mode):
                content = f"{stat.S_IFMT(found.st_mode):o}"
            elif found.st_size <= SMALL:
                content = _sha256(file.read_bytes())
            else:
                content = f"{found.st_size} {found.st_mtime_ns}"
            yield f"{file.relative_to(folder)} {content}"
        folders.sort()
