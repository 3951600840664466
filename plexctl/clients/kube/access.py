"""Where the API of a cluster is, and the certificates that give access to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from plexctl.clients.abandoned import delete_old_keys
from plexctl.clients.memory import memory_file
from plexctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """A cluster's API and a client certificate for it. Certificates and keys are PEM."""

    server: str  # "https://10.64.0.11:6443"
    ca: bytes  # the only authority that is trusted
    certificate: bytes
    key: Secret


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of memory files with the PEM texts of an ApiAccess."""

    ca: str
    certificate: str
    key: str


@contextmanager
def tls_files(access: ApiAccess) -> Iterator[TlsFiles]:
    """The certificates and the key as files: Python's TLS reads a key from files only.

    The official client reads them again for each connection: they exist until the block ends.
    """
    delete_old_keys()
    with ExitStack() as stack:
        contents = (access.ca, access.certificate, access.key.reveal())
        yield TlsFiles(*(f"/proc/self/fd/{stack.enter_context(memory_file(c))}" for c in contents))
