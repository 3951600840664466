"""Downloads over HTTPS. A missing network is detected quickly; the caller verifies content."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from plexctl.errors import PlexError

CONNECT_SECONDS = 3.0
READ_SECONDS = 60.0
DOCUMENT_LIMIT = 4 << 20
_CHUNK = 1 << 20
_REPEAT = Retry(
    total=3, connect=0, other=0, backoff_factor=0.2, status_forcelist=(429, 502, 503, 504)
)

Progress = Callable[[float], None]
"""Called with the finished share, 0 to 1."""


class WebError(PlexError):
    """A server is unreachable, or does not return the document."""


class Web:
    """Downloads from URLs, with the user's proxy settings.

    `rewrites` replace the beginning of a URL by another one (a mirror); `ca` is a file of CAs to
    trust instead of the usual ones.
    """

    def __init__(self, rewrites: tuple[tuple[str, str], ...] = (), ca: Path | None = None) -> None:
        self._rewrites = rewrites
        # Passed with each request: REQUESTS_CA_BUNDLE overrides that of a session.
        self._verify = str(ca) if ca else None
        plain = any(new.startswith("http://") for _, new in rewrites)
        self._session, self._probe = _session(_REPEAT, plain), _session(Retry(0), plain)

    def unreachable(self, url: str) -> str | None:
        """Why the server of `url` is unreachable, or None; after about 3 seconds at most.

        In a thread: the resolution of a name has no time limit, and a name may have many
        addresses, each with a time limit of its own.
        """
        found: list[str | None] = []

        def look() -> None:
            try:
                self.get(url, method="HEAD", accept_errors=True, repeat=False).close()
                found.append(None)
            except WebError as error:
                found.append(error.summary)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        thread.join(CONNECT_SECONDS)
        return found[0] if found else f"{urlsplit(url).hostname} does not answer"

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        accept_errors: bool = False,
        repeat: bool = True,
    ) -> requests.Response:
        """The response, its body not yet read. WebError unless it is successful."""
        host = urlsplit(url).hostname
        session = self._session if repeat else self._probe
        try:
            response = session.request(
                method,
                self._rewritten(url),
                headers=headers,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                verify=self._verify,
            )
        except requests.exceptions.InvalidSchema as error:
            raise WebError(f"{host} redirects to plain HTTP", details=[str(error)]) from error
        except requests.exceptions.SSLError as error:
            raise WebError(f"{host} cannot be trusted", details=[str(error)]) from error
        except OSError as error:  # all errors of requests, and of reading `ca`
            raise WebError(f"{host} cannot be reached", details=[str(error)]) from error
        if not response.ok and not accept_errors:
            response.close()
            raise WebError(f"{url}: HTTP {response.status_code} {response.reason}")
        return response

    def read(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """A small document and the headers of its response."""
        content = b""
        with self.get(url, headers=headers) as response:
            for chunk in _chunks(response, url):
                content += chunk
                if len(content) > DOCUMENT_LIMIT:
                    raise WebError(f"{url} returns more than {DOCUMENT_LIMIT} bytes")
            return content, response.headers

    def download(
        self,
        url: str,
        target: Path,
        progress: Progress | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Download `url` to `target`; returns the SHA-256 in hex."""
        digest = hashlib.sha256()
        identity = {"Accept-Encoding": "identity", **(headers or {})}
        with self.get(url, headers=identity) as response, target.open("wb") as file:
            size, done = int(response.headers.get("Content-Length", 0)), 0
            for chunk in _chunks(response, url):
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
                if progress and size:
                    progress(min(1.0, done / size))
        return digest.hexdigest()

    def _rewritten(self, url: str) -> str:
        for old, new in self._rewrites:
            if url.startswith(old):
                return new + url.removeprefix(old)
        return url


def _session(repeat: Retry, plain: bool) -> requests.Session:
    """A session that uses HTTP without TLS only if `plain`."""
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=repeat, pool_maxsize=16))
    if not plain:
        # No redirect leads to plain HTTP, whose bytes anybody on the way may change.
        del session.adapters["http://"]
    return session


def _chunks(response: requests.Response, url: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise WebError(f"{url}: the connection broke", details=[str(error)]) from error
