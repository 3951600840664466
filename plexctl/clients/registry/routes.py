"""Routes to the lab's registries: over HTTPS from this machine, or from their own nodes."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from importlib.resources import files
from uuid import uuid4

import urllib3

from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.registry.lab import Reply
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait

TIMEOUT = urllib3.Timeout(connect=3.0, read=30.0)


class HttpsRoute:
    """The route to the registry of this machine at `endpoint`; `ca` (PEM) signs its certificate."""

    def __init__(self, endpoint: str, ca: bytes) -> None:
        context = ssl.create_default_context(cadata=ca.decode())
        self._pool = urllib3.PoolManager(ssl_context=context, timeout=TIMEOUT, retries=False)
        self._url = f"https://{endpoint}"

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        try:
            answer = self._pool.request(
                method, f"{self._url}{path}", headers=dict(headers), body=body
            )
        except urllib3.exceptions.HTTPError as error:
            raise PlexError(str(error)) from error
        return Reply(answer.status, _lower_case(answer.headers), answer.data)


class NodeRoute:
    """The route to the registry of another machine: the node `name` there sends the request.

    It has the same address on every host, so only its host and nodes there reach it.
    """

    def __init__(self, instances: IncusInstances, name: str, endpoint: str, ca: bytes) -> None:
        self._instances, self._name, self._ca = instances, name, ca.decode()
        self._host, _, self._port = endpoint.rpartition(":")

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        request = {
            "host": self._host,
            "port": int(self._port),
            "ca": self._ca,
            "method": method,
            "path": path,
            "headers": dict(headers),
            "body": b64encode(body).decode() if body is not None else None,
        }
        # In memory, for root only: it contains the password.
        file = f"/run/plexctl-{uuid4().hex}.json"
        self._put(file, json.dumps(request).encode())
        program = files("plexctl.clients.registry").joinpath("https_call.py").read_text()
        done = self._instances.execute(self._name, ("python3", "-c", program, file))
        if done.code:
            raise PlexError(done.stderr.strip().rpartition("\n")[2] or f"code {done.code}")
        status, answered, content = json.loads(done.stdout)
        return Reply(status, _lower_case(answered), b64decode(content))

    def _put(self, file: str, content: bytes) -> None:
        def probe() -> Observation:
            there = self._instances.push(self._name, file, content, mode=0o600)
            return Observation(
                there, "" if there else "Incus has lost its socket to the node's files"
            )

        # The server recovers only after 15 s without a call.
        wait(Condition(f"files of {self._name} can be written", probe, deadline=60, every=17))


def _lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
