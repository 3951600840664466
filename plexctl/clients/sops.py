"""The one door to SOPS, which encrypts the values of a YAML file and leaves its structure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.secret import Secret

TIMEOUT = 60.0
VALUES = "^(data|stringData)$"
"""What is encrypted of a Secret: names, labels and types stay readable, for people and for git."""

_YAML = ("--input-type", "yaml", "--output-type", "yaml")
_MAC_MISMATCH, _NO_KEY = 51, 128  # exit codes of sops


@dataclass(frozen=True, slots=True)
class Sops:
    """SOPS with the lab's keys and nothing else: no settings or keys of the user count.

    `identity` has age keys, one a line, any of which may open a file; `recipient` is the public
    key that files are encrypted for.
    """

    binary: Path
    identity: Secret
    recipient: str

    def encrypt(self, plain: bytes, file: Path) -> bytes:
        """`plain`, a manifest of Secrets, as it goes into `file`. Nothing is written."""
        name = ("--filename-override", str(file.absolute()))
        options = (*_YAML, "--encrypted-regex", VALUES, "--age", self.recipient)
        done = self._run("encrypt", (*name, *options), plain)
        if done.code != 0:
            # It quotes what it cannot read.
            why = f"sops ended with code {done.code}; what it says may quote secrets: not shown"
            raise PlexError(f"cannot encrypt {file}", details=(why,))
        return done.stdout.encode()

    def decrypt(self, file: Path) -> Secret:
        """The content of an encrypted file. PlexError if no key of the lab opens it."""
        with self._key() as (environment, descriptor):
            words = (*_YAML, str(file.absolute()))
            done = self._run("decrypt", words, None, environment, (descriptor,))
        return Secret(_answer(done, str(file), file.read_bytes()).encode())

    def decrypt_built(self, content: bytes) -> Secret:
        """One encrypted manifest after kustomize has been at it, as Flux decrypts it.

        What kustomize adds is not in the checksum of the whole; each value has its own.
        """
        with self._key() as (environment, descriptor):
            words = (*_YAML, "--ignore-mac", "/dev/stdin")
            done = self._run("decrypt", words, content, environment, (descriptor,))
        return Secret(_answer(done, "a Secret of the tree", content).encode())

    def rotate(self, file: Path) -> bytes:
        """`file` with a new data key, encrypted for `recipient` alone. Nothing is written."""
        content = file.read_bytes()
        old = [one for one in recipients(content) if one != self.recipient]
        change = ("--add-age", self.recipient, "--rm-age", ",".join(old)) if old else ()
        with self._key() as (environment, descriptor):
            words = (*_YAML, *change, str(file.absolute()))
            done = self._run("rotate", words, None, environment, (descriptor,))
        return _answer(done, str(file), content).encode()

    def _run(
        self,
        verb: str,
        words: Sequence[str],
        stdin: bytes | None,
        environment: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> CommandResult:
        # An empty file of settings keeps it from looking for one in all folders upward.
        settings = ("--config", os.devnull, "--disable-version-check")
        return process.run(
            (self.binary, *settings, verb, *words),
            timeout=TIMEOUT,
            # It looks for keys in the home folder.
            env={"HOME": "/nonexistent", **(environment or {})},
            stdin=stdin,
            check=False,
            bare=True,
            private=True,
            pass_fds=pass_fds,
        )

    @contextmanager
    def _key(self) -> Iterator[tuple[dict[str, str], int]]:
        """The keys in a file in memory without a name; only a path to it is in the environment."""
        descriptor = os.memfd_create("age")
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(self.identity.reveal())
            yield {"SOPS_AGE_KEY_FILE": f"/dev/fd/{descriptor}"}, descriptor
        finally:
            os.close(descriptor)


def recipients(content: bytes) -> tuple[str, ...]:
    """The public age keys that a file is encrypted for: the same in each of its documents."""
    try:
        first = next(yaml.load_all(content, yaml.CBaseLoader), None)
    except yaml.YAMLError:
        return ()
    settings = first.get("sops") if isinstance(first, dict) else None
    keys = settings.get("age") if isinstance(settings, dict) else None
    found = (key.get("recipient") for key in keys or () if isinstance(key, dict))
    return tuple(one for one in found if isinstance(one, str))


def _answer(done: CommandResult, name: str, content: bytes) -> str:
    """What sops has printed. `name` and `content` are of what it was to read."""
    if done.code == 0:
        return done.stdout
    if done.code == _NO_KEY:
        for_whom = ", ".join(recipients(content)) or "keys that are not age's"
        raise PlexError(
            f"no key of this lab opens {name}",
            details=(f"it is encrypted for {for_whom}",),
            hint="if `secrets.epoch` in clusters/hosts.yaml was lowered, raise it again; if the"
            " file is of another lab, encrypt its plain text here",
        )
    if done.code == _MAC_MISMATCH:
        raise PlexError(
            f"{name} was changed after it was encrypted",
            details=("its checksum, which names and labels are part of too, is another",),
            hint="bring back the version that plexctl wrote, and change that: "
            f"`plexctl secret edit {name}`",
        )
    raise PlexError(
        f"sops cannot read {name} (code {done.code})", details=done.stderr.splitlines()[-4:]
    )
