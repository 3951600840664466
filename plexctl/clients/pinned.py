"""HTTPS to a server with a pinned certificate; its signer and its names do not matter."""

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
    "Fingerprints did not match": "it shows another certificate",
    "Read timed out": "read timed out",
    "Connection refused": "connection refused",
    "No route to host": "no route to host",
    "Network is unreachable": "network is unreachable",
    "Connection reset": "connection reset",
    "Connection broken": "the connection broke",
    "Name or service not known": "the name cannot be resolved",
    "No address associated": "the name cannot be resolved",
    "failure in name resolution": "the name cannot be resolved",
    "WRONG_VERSION_NUMBER": "it is not an HTTPS server",
    "RECORD_LAYER_FAILURE": "it is not an HTTPS server",
    "timed out": "timed out",
}
"""Texts in errors of libraries, and what plexctl prints instead. The first match counts."""


class _Connection(HTTPSConnection):
    """A connection with an SSL context of its own.

    The context of urllib3 would read all CAs of the machine, which are not used here. One context
    for all connections does not work: urllib3 loads certificate and key into it for each
    connection, which corrupts memory of OpenSSL if another thread connects meanwhile.
    """

    def connect(self) -> None:
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        super().connect()


class _Connections(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Pinned(HTTPAdapter):
    """Connections that accept only the certificate with this fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Connections}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # urllib3 checks the fingerprint, instead of a chain, on every connection.
        super().cert_verify(conn, url, False, cert)  # type: ignore[no-untyped-call]


def pinned_session(url: str, fingerprint: str) -> requests.Session:
    """A session for `url` alone: SHA-256 of the server's certificate must be `fingerprint` (hex).

    It ignores proxies and certificates of the environment.
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
    """The reason why a connection failed, without internals of libraries."""
    said = str(error)
    return next((words for known, words in REASONS.items() if known in said), said)
