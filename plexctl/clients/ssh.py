"""The client of machines over SSH, through the programs of OpenSSH."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plexctl.clients import process
from plexctl.clients.environment import SSH, environment
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation
from plexctl.model.ssh_words import quoted

CONNECT = 5
"""Seconds in which a machine must take a connection."""


@dataclass(frozen=True, slots=True)
class SshClient:
    """A machine over SSH, whose host key is known.

    With `key` and `known_hosts` the user's SSH configuration is ignored; without, it applies.
    """

    address: str
    user: str
    key: Path | None = None  # of the client, mode 0600
    known_hosts: Path | None = None
    port: int | None = None

    def run(self, script: str, *, timeout: float, check: bool = True) -> CommandResult:
        """Run a shell script there, passed on standard input. It must not contain a secret."""
        argv = ("ssh", *self._options("-p"), "--", f"{self.user}@{self.address}", "/bin/sh -s")
        return process.run(
            argv, stdin=script.encode(), timeout=timeout, env=environment(SSH), check=check
        )

    def feed(self, script: str, content: bytes, *, timeout: float, hint: str | None = None) -> None:
        """Run a shell script that reads `content`. Only `content` may contain a secret."""
        argv = ("ssh", *self._options("-p"), "--", f"{self.user}@{self.address}", script)
        process.run(argv, stdin=content, timeout=timeout, env=environment(SSH), hint=hint)

    def send(self, folder: Path, target: str, *, timeout: float) -> None:
        """Copy a folder to `target`, which must not exist."""
        place = f"{self.user}@{self.address}:{target}"
        argv = ("scp", "-q", "-r", *self._options("-P"), "--", str(folder), place)
        process.run(argv, timeout=timeout, env=environment(SSH))

    def answers(self, what: str, *, deadline: float, hint: str) -> Condition:
        """The machine accepts the login."""

        def probe() -> Observation:
            try:
                done = self.run("true", timeout=CONNECT + 10, check=False)
            except PlexError as error:
                return Observation(False, error.summary)
            last = done.stderr.strip().splitlines()[-1:]
            return Observation(done.code == 0, "".join(last))

        return Condition(what, probe, deadline, every=1.0, hint=hint)

    def _options(self, port: str) -> tuple[str, ...]:
        """`port` is the program's option for a port."""
        options = ["BatchMode=yes", f"ConnectTimeout={CONNECT}", "ServerAliveInterval=15"]
        own: tuple[str, ...] = ()
        if self.key is not None:
            own = ("-F", "/dev/null")
            options += [f"IdentityFile={quoted(self.key)}", "IdentitiesOnly=yes"]
        if self.known_hosts is not None:
            options += [
                "StrictHostKeyChecking=yes",
                f"UserKnownHostsFile={quoted(self.known_hosts)}",
                "GlobalKnownHostsFile=/dev/null",
            ]
        words = (word for option in options for word in ("-o", option))
        return (*own, *words, *((port, str(self.port)) if self.port else ()))
