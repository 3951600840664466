"""The HTTPS server: bytes to requests, answers to bytes."""

from __future__ import annotations

import json
import re
import socket
import ssl
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fake_pve.errors import ApiError
from tests.fake_pve.multipart import split_parts
from tests.fake_pve.state import Request

if TYPE_CHECKING:
    from tests.fake_pve.pve import FakePve

ROOT = "/api2/json"


class Server:
    """A server on a port of 127.0.0.1, with a thread per connection."""

    def __init__(self, pve: FakePve, context: ssl.SSLContext, port: int) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.pve, self._http.context = pve, context
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port it got."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    pve: FakePve
    context: ssl.SSLContext

    def __init__(self, *args: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*args)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the thread of the connection: a client that is slow to shake hands holds up no other.
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                self._open.add(secured)
                try:
                    super().finish_request(secured, client_address)
                finally:
                    self._open.discard(secured)
        except (OSError, ValueError):
            return

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no news."""

    def hang_up(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)  # wakes who waits for its next request
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer in one piece: two would wait for the client's acknowledgement
    disable_nagle_algorithm = True
    server: _Http

    def version_string(self) -> str:
        return "pve-api-daemon/3.0"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.server.pve.clock_offset)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: `FakePve.requests` has all requests."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        pve = self.server.pve
        body = self._body()
        with tempfile.TemporaryDirectory(dir=pve.folder) as scratch:
            request, uploads = self._read(body, Path(scratch))
            pve.requests.append(request)
            pve.faults.running.wait()
            fault = pve.faults.take(request.method, request.path)
            if fault and not fault.after:
                return self._fail(fault.status, fault.reason)
            try:
                if not self.path.startswith(ROOT):
                    raise ApiError(404, f"no such file '{request.path}'")
                data = pve.answer(request, uploads)
            except ApiError as error:
                return self._fail(error.status, error.reason, error.errors)
            except Exception as error:  # noqa: BLE001  a fault of the fake, to be seen as such
                traceback.print_exc()
                return self._fail(500, f"the fake broke: {type(error).__name__}: {error}")
        if fault:
            return self._fail(fault.status, fault.reason)
        return self._send(200, "OK", {"data": data})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _read(self, body: bytes, scratch: Path) -> tuple[Request, dict[str, Path]]:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = headers.get("content-type", "")
        uploads: dict[str, Path] = {}
        params: dict[str, Any]
        if kind.startswith("multipart/form-data"):
            fields, uploads = split_parts(kind, body, scratch)
            params = dict(fields)
        elif kind.startswith("application/json") and body:
            params = json.loads(body)
        else:
            text = body.decode("utf-8", "replace") or url.query
            pairs = parse_qs(text, keep_blank_values=True)
            params = {name: found[0] if len(found) == 1 else found for name, found in pairs.items()}
        path = re.sub("/+", "/", unquote(url.path).removeprefix(ROOT)).rstrip("/") or "/"
        return Request(self.command, path, params, headers), uploads

    def _fail(self, status: int, reason: str, errors: dict[str, str] | None = None) -> None:
        if status == 0:
            self.close_connection = True
            return
        answer: dict[str, Any] = {"data": None, "message": f"{reason}\n"}
        if errors:
            answer["errors"] = errors
        # What the proxy answers for a node that it cannot reach has no body.
        shown = None if status in range(595, 600) else answer
        self._send(status, reason.splitlines()[0] if reason else "", shown)

    def _send(self, status: int, reason: str, answer: dict[str, Any] | None) -> None:
        text = b"" if answer is None else json.dumps(answer).encode()
        try:
            self.send_response(status, reason.encode("ascii", "replace").decode())
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Cache-Control", "max-age=0")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
