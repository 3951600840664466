"""The one door to machines over SSH, by OpenSSH's own programs. Ansible's is in `ansible`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plexctl.clients import process
from plexctl.clients.process import Finished
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Seen

CONNECT = 5
"""Seconds in which a machine must take a connection."""


@dataclass(frozen=True, slots=True)
class Ssh:
    """A machine that is known by its host key. Nothing of the user's own SSH has a say."""

    address: str
    user: str
    key: Path  # of the client, mode 0600
    known_hosts: Path

    def run(self, script: str, *, timeout: float, check: bool = True) -> Finished:
        """Run a shell script there, handed over on its standard input; no secret may be in it."""
        argv = ("ssh", *self._options(), f"{self.user}@{self.address}", "/bin/sh -s")
        return process.run(argv, stdin=script.encode(), timeout=timeout, check=check)

    def send(self, folder: Path, target: str, *, timeout: float) -> None:
        """Copy a folder to `target`, which must not exist."""
        place = f"{self.user}@{self.address}:{target}"
        process.run(("scp", "-q", "-r", *self._options(), folder, place), timeout=timeout)

    def answers(self, what: str, *, deadline: float, hint: str) -> Condition:
        """That it lets us in."""

        def probe() -> Seen:
            try:
                done = self.run("true", timeout=CONNECT + 10, check=False)
            except PlexError as error:
                return Seen(False, error.summary)
            last = done.stderr.strip().splitlines()[-1:]
            return Seen(done.code == 0, "".join(last))

        return Condition(what, probe, deadline, every=1.0, hint=hint)

    def _options(self) -> tuple[str, ...]:
        options = (
            "BatchMode=yes",
            f"ConnectTimeout={CONNECT}",
            "ServerAliveInterval=15",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            f'UserKnownHostsFile="{self.known_hosts}"',
            "GlobalKnownHostsFile=/dev/null",
        )
        words = (word for option in options for word in ("-o", option))
        return ("-F", "/dev/null", "-i", str(self.key), *words)
