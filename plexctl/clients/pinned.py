"""HTTPS to a server that is known by its certificate, whoever signed it and whatever its name."""

from __future__ import annotations

import socket
import ssl
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from plexctl.errors import PlexError

CONNECT = 10
"""Seconds in which a server must show its certificate."""

REASONS = {
    "Fingerprints did not match": "it has another certificate",
    "Read timed out": "read timed out",
    "Connection refused": "connection refused",
    "No route to host": "no route to host",
    "Network is unreachable": "network is unreachable",
    "Connection reset": "connection reset",
    "Connection broken": "its answer broke off",
    "Name or service not known": "nobody knows that name",
    "No address associated": "nobody knows that name",
    "failure in name resolution": "nobody knows that name",
    "WRONG_VERSION_NUMBER": "it does not speak HTTPS",
    "RECORD_LAYER_FAILURE": "it does not speak HTTPS",
    "timed out": "timed out",
}
"""Words in what libraries raise, and what they come to. The first that fits counts."""


class _Connection(HTTPSConnection):
    """A connection with a context of its own.

    urllib3's would read all authorities of the machine, which nobody asks here. One context for
    all is no way either: urllib3 loads certificate and key into it for each connection, and
    OpenSSL's memory is spoiled when another thread begins a connection meanwhile.
    """

    def connect(self) -> None:
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        super().connect()


class _Connections(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Pinned(HTTPAdapter):
    """Connections on which only the certificate with this fingerprint is taken."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Connections}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # The fingerprint is checked instead of a chain: urllib3 does so for every connection.
        super().cert_verify(conn, url, False, cert)  # type: ignore[no-untyped-call]


def pinned_session(url: str, fingerprint: str) -> requests.Session:
    """A session for `url` alone: SHA-256 of the server's certificate must be `fingerprint` (hex).

    What the environment says of proxies and certificates is of no matter to it.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = False
    session.mount(url, _Pinned(fingerprint))
    return session


def server_certificate(url: str) -> bytes:
    """The certificate that the server at `url` shows, in DER, trusted or not. PlexError if none."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), CONNECT) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            certificate = wrapped.getpeercert(binary_form=True)
    except OSError as error:
        raise PlexError(f"{url} does not answer", details=(reason(error),)) from error
    if not certificate:
        raise PlexError(f"{url} shows no certificate")
    return certificate


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER: 64 hex digits."""
    return sha256(certificate).hexdigest()


def reason(error: Exception) -> str:
    """Why there is no connection, without the names of a library's own objects."""
    said = str(error)
    return next((words for known, words in REASONS.items() if known in said), said)
