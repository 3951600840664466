"""What callers may ask of a host without knowing its kind."""

from __future__ import annotations

from typing import Protocol

from plexctl.clients.process import Finished
from plexctl.errors import PlexError
from plexctl.model.hosts import Host, HostFacts
from plexctl.model.observed import HostState


class HostClient(Protocol):
    """A host: safe to use from several threads; every call is bounded in time.

    PlexError when it refuses, UnreachableHostError when it cannot be reached.
    """

    @property
    def host(self) -> Host: ...

    @property
    def silence(self) -> PlexError | None:
        """Why the host is not asked any more; None while it answers."""

    def facts(self) -> HostFacts: ...

    def read(self) -> HostState: ...

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> Finished:
        """Run a program in an instance to its end; no secret may be in `argv`."""

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        """Remove an instance, whatever its state. One that is gone already is no error."""

    def delete_image(self, fingerprint: str) -> None: ...
