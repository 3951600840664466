"""A session of `requests` with a server whose certificate is pinned."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool


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
