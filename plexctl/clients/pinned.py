"""HTTPS to a server with a pinned certificate; its signer and its names do not matter."""

from __future__ import annotations

import socket
import ssl
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from plexctl.errors import PlexError

CONNECT = 10
"""Seconds in which a server must show its certificate."""

OTHER_CERTIFICATE = "Fingerprints did not match"
"""In the error of a server that shows another certificate than the pinned one; as in urllib3."""

REASONS = {
    OTHER_CERTIFICATE: "it shows another certificate",
    "Read timed out": "read timed out",
    "handshake operation timed out": "read timed out",
    "read operation timed out": "read timed out",
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
    "Response ended prematurely": "the answer broke off",
    "Connection aborted": "the server ended the connection",
    "Remote end closed": "the server ended the connection",
}
"""Texts in errors of libraries, and what plexctl prints instead. The first match counts."""


def pinned_socket(url: str, fingerprint: str, certificate: Path, key: Path) -> ssl.SSLSocket:
    """A TLS connection to `url`, with a certificate and a private key of the client.

    PlexError if the server does not answer, or shows another certificate than that with the SHA-256
    `fingerprint` (hex).
    """
    try:
        return connect_pinned(url, fingerprint, certificate, key, CONNECT)
    except OSError as error:
        raise PlexError(f"{url} does not answer: {reason(error)}") from error


def connect_pinned(
    url: str, fingerprint: str, certificate: Path, key: Path, seconds: float
) -> ssl.SSLSocket:
    """The same within some seconds. OSError, which `reason` can explain."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    plain = socket.create_connection((parts.hostname or "", parts.port or 443), seconds)
    try:
        found = context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise
    if sha256(found.getpeercert(binary_form=True) or b"").hexdigest() != fingerprint.lower():
        found.close()
        raise ssl.SSLError(OTHER_CERTIFICATE)
    return found


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
