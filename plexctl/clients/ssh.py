"""The one door to machines over SSH, by OpenSSH's own programs. Ansible's is in `ansible`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation

CONNECT = 5
"""Seconds in which a machine must take a connection."""


@dataclass(frozen=True, slots=True)
class SshClient:
    """A machine that is known by its host key.

    With a key and known hosts of its own, nothing of the user's SSH has a say; without, all of it.
    """

    address: str
    user: str
    key: Path | None = None  # of the client, mode 0600
    known_hosts: Path | None = None
    port: int | None = None

    def run(self, script: str, *, timeout: float, check: bool = True) -> CommandResult:
        """Run a shell script there, handed over on its standard input; no secret may be in it."""
        argv = ("ssh", *self._options("-p"), f"{self.user}@{self.address}", "/bin/sh -s")
        return process.run(argv, stdin=script.encode(), timeout=timeout, check=check)

    def feed(self, script: str, content: bytes, *, timeout: float, hint: str | None = None) -> None:
        """Run a shell script that reads `content`, which may be a secret; the script may not."""
        argv = ("ssh", *self._options("-p"), f"{self.user}@{self.address}", script)
        process.run(argv, stdin=content, timeout=timeout, hint=hint)

    def send(self, folder: Path, target: str, *, timeout: float) -> None:
        """Copy a folder to `target`, which must not exist."""
        place = f"{self.user}@{self.address}:{target}"
        process.run(("scp", "-q", "-r", *self._options("-P"), folder, place), timeout=timeout)

    def answers(self, what: str, *, deadline: float, hint: str) -> Condition:
        """That it lets us in."""

        def probe() -> Observation:
            try:
                done = self.run("true", timeout=CONNECT + 10, check=False)
            except PlexError as error:
                return Observation(False, error.summary)
            last = done.stderr.strip().splitlines()[-1:]
            return Observation(done.code == 0, "".join(last))

        return Condition(what, probe, deadline, every=1.0, hint=hint)

    def _options(self, port: str) -> tuple[str, ...]:
        """`port` is the program's word for it."""
        options = ["BatchMode=yes", f"ConnectTimeout={CONNECT}", "ServerAliveInterval=15"]
        own: tuple[str, ...] = ()
        if self.key is not None:
            own = ("-F", "/dev/null", "-i", str(self.key))
            options.append("IdentitiesOnly=yes")
        if self.known_hosts is not None:
            options += [
                "StrictHostKeyChecking=yes",
                f'UserKnownHostsFile="{self.known_hosts}"',
                "GlobalKnownHostsFile=/dev/null",
            ]
        words = (word for option in options for word in ("-o", option))
        return (*own, *words, *((port, str(self.port)) if self.port else ()))
