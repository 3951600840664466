"""How calls to an Incus server are made: the socket, operations, time limits, errors."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from operator import getitem
from pathlib import Path
from typing import Any

from plexctl.errors import PlexError
from plexctl.model.hosts import Host

ANSWER = 60
"""Seconds in which a server must answer a call that is no wait."""


class UnreachableHostError(PlexError):
    """There is no server, whatever is asked of it."""


class Connection:
    """Calls to one server through pylxd. Safe to use from several threads."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @cached_property
    def _api(self) -> Any:
        import pylxd
        import requests
        from pylxd.exceptions import ClientConnectionFailed

        socket = Path(self.host.socket)
        hint = "start Incus (bin/quickstart does), or correct `socket` in clusters/hosts.yaml"
        if not socket.exists():
            raise UnreachableHostError(f"host {self.host.name}: no Incus at {socket}", hint=hint)
        try:
            api = pylxd.Client(endpoint=str(socket), timeout=ANSWER).api
        except (ClientConnectionFailed, requests.RequestException, OSError) as error:
            raise UnreachableHostError(
                f"host {self.host.name}: Incus at {socket} does not answer",
                details=(str(error),),
                hint=hint,
            ) from error
        # A bundle named in the environment would replace the server's pinned certificate.
        api.session.trust_env = False
        return api

    def _list(self, *path: str) -> list[dict[str, Any]]:
        with self._speaking(f"the {path[-1]} cannot be read"):
            node = functools.reduce(getitem, path, self._api)
            found: list[dict[str, Any]] = node.get(params={"recursion": 1}).json()["metadata"]
        return found

    def _delete(self, kind: str, name: str) -> None:
        with self._speaking(f"{kind[:-1]} {name} cannot be deleted", gone_is_fine=True):
            self._api[kind][name].delete()

    def _state(self, name: str, action: str, *, timeout: int, force: bool = False) -> None:
        body = {"action": action, "timeout": timeout, "force": force}
        self._finish(self._api.instances[name].state.put(json=body), timeout + 5)

    def _finish(self, response: Any, timeout: float) -> dict[str, Any]:
        """Wait for the operation that `response` names; returns it."""
        operation = response.json()
        if operation.get("type") != "async":
            return dict(operation)
        path = operation["operation"].rsplit("/", 1)[1]
        waited = self._api.operations[path].wait.get(
            params={"timeout": int(timeout)}, timeout=timeout + ANSWER
        )
        done: dict[str, Any] = waited.json()["metadata"]
        if done["status_code"] != 200:
            raise PlexError(done.get("err") or f"the operation is {done['status']}")
        return done

    @contextmanager
    def _speaking(self, summary: str, *, gone_is_fine: bool = False) -> Iterator[None]:
        """Turn what the library raises into a PlexError that begins with `summary`."""
        import requests
        from pylxd.exceptions import LXDAPIException

        try:
            yield
        except LXDAPIException as error:
            reason = _reason(error)
            gone = error.response.status_code == 404 or "already stopped" in reason
            if gone_is_fine and gone:
                return
            raise self._failed(summary, reason) from error
        except (requests.RequestException, json.JSONDecodeError) as error:
            raise self._failed(summary, str(error)) from error
        except UnreachableHostError:
            raise
        except PlexError as error:
            raise self._failed(summary, error.summary) from error

    def _failed(self, summary: str, reason: str) -> PlexError:
        # A wait that runs out is an HTTP 500 with this text.
        if "context deadline exceeded" in reason or "Read timed out" in reason:
            reason = "not finished in time"
        return PlexError(f"host {self.host.name}: {summary}: {reason}")


def _reason(error: Any) -> str:
    try:
        return str(error.response.json()["error"])
    except (ValueError, KeyError):
        return str(error)
