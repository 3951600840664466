"""How calls to an Incus server are made: the socket, operations, time limits, errors."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from operator import getitem
from pathlib import Path
from typing import Any

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.hosts import HostSpec

CONNECT = 10
"""Seconds in which a server must take a connection and show its certificate."""

ANSWER = 30
"""Seconds in which a server must answer a call that is no wait."""

START_IT = "start Incus (bin/quickstart does), or correct `socket` in clusters/hosts.yaml"
ASK_ALL = "is the machine up? `plexctl host list` asks all hosts"

RUNNING = 103
"""Status of an operation that goes on."""

LOOK = 10
"""Seconds after which a wait for an operation is begun anew, to see that the server is there."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What plexctl shows to servers over HTTPS: files in PEM, the key for nobody else to read."""

    certificate: Path
    key: Path


class Connection:
    """Calls to one server through pylxd. Safe to use from several threads.

    A server that has not answered once is not asked again: what needs it fails at once, so that
    a host that hangs holds nobody up for longer than one answer may take.
    """

    def __init__(self, host: HostSpec, credentials: Credentials | None = None) -> None:
        self.host = host
        self._credentials = credentials
        self._silence: UnreachableHostError | None = None

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why the server is not asked any more; None while it answers."""
        return self._silence

    def connect(self) -> None:
        """Find the server, once; UnreachableHostError if it does not answer."""
        _ = self._api

    @cached_property
    def _api(self) -> Any:
        import pylxd
        import requests
        from pylxd.exceptions import ClientConnectionFailed, LXDAPIException

        if self._silence is not None:  # others have waited for it just now
            raise self._silence
        endpoint = self.host.url or self.host.socket
        if self.host.local and not Path(endpoint).exists():
            self._silence = UnreachableHostError(
                f"host {self.host.name}: no Incus at {endpoint}", hint=START_IT
            )
            raise self._silence
        session = None if self.host.local else self._https()
        try:
            client = pylxd.Client(endpoint=endpoint, timeout=(CONNECT, ANSWER), session=session)
        except (
            ClientConnectionFailed,
            LXDAPIException,
            requests.RequestException,
            OSError,
        ) as error:
            raise self._unreachable(error) from error
        if not client.trusted:
            raise UnreachableHostError(
                f"host {self.host.name} does not know this lab",
                hint=f"`plexctl host add {self.host.name} {endpoint} --token` introduces it",
            )
        # A bundle named in the environment would replace the server's pinned certificate.
        client.api.session.trust_env = False
        return client.api

    def _https(self) -> Any:
        """A session that speaks to the server with the pinned certificate and to no other."""
        from plexctl.clients.pinned import pinned_session

        assert self.host.url is not None
        assert self.host.certificate is not None
        session = pinned_session(self.host.url, self.host.certificate)
        if self._credentials is None:
            raise PlexError(f"host {self.host.name} is reached over HTTPS, without credentials")
        session.cert = (str(self._credentials.certificate), str(self._credentials.key))
        return session

    def _unreachable(self, error: Exception) -> UnreachableHostError:
        """From now on nobody waits for the server again."""
        from plexctl.clients.pinned import reason

        name, where = self.host.name, self.host.url or self.host.socket
        if "Fingerprints did not match" in str(error):
            unreachable = UnreachableHostError(
                f"host {name}: {where} has another certificate than the one that is known",
                hint=f"if it was made anew: `plexctl host add {name} {where} --token`",
            )
        else:
            unreachable = UnreachableHostError(
                f"host {name}: Incus at {where} does not answer",
                details=(reason(error),),
                hint=ASK_ALL if self.host.url else START_IT,
            )
        self._silence = self._silence or unreachable
        return self._silence

    def _list(self, *path: str) -> list[dict[str, Any]]:
        with self._speaking(f"the {path[-1]} cannot be read"):
            node = functools.reduce(getitem, path, self._api)
            found: list[dict[str, Any]] = node.get(params={"recursion": 1}).json()["metadata"]
        return found

    def _under_way(self) -> list[dict[str, Any]]:
        """The operations that the server works at, whoever has asked for them."""
        with self._speaking("the operations cannot be read"):
            found = self._api.operations.get(params={"recursion": 1}).json()["metadata"]
        return list(found.get("running", ()))

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
        done = self._ended(path, timeout)
        if done["status_code"] != 200:
            raise PlexError(done.get("err") or f"the operation is {done['status']}")
        return done

    def _ended(self, path: str, timeout: float) -> dict[str, Any]:
        """The operation `path` when it has ended, or when `timeout` seconds have gone by."""
        from pylxd.exceptions import LXDAPIException

        left = max(timeout, 1)
        while True:
            look = min(left, LOOK)
            left -= look
            try:
                waited = self._api.operations[path].wait.get(
                    params={"timeout": math.ceil(look)}, timeout=(CONNECT, look + ANSWER)
                )
            except LXDAPIException as error:
                if "deadline exceeded" not in _reason(error) or left <= 0:
                    raise
                continue
            done: dict[str, Any] = waited.json()["metadata"]
            if done["status_code"] != RUNNING or left <= 0:
                return done

    @contextmanager
    def _speaking(self, summary: str, *, gone_is_fine: bool = False) -> Iterator[None]:
        """Turn what the library raises into a PlexError that begins with `summary`."""
        import requests
        from pylxd.exceptions import LXDAPIException

        if self._silence is not None:
            raise self._silence
        try:
            yield
        except LXDAPIException as error:
            reason = _reason(error)
            gone = error.response.status_code == 404 or "already stopped" in reason
            if gone_is_fine and gone:
                return
            raise self._failed(summary, reason) from error
        except json.JSONDecodeError as error:
            raise self._failed(summary, str(error)) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise self._unreachable(error) from error
        except requests.RequestException as error:
            raise self._failed(summary, str(error)) from error
        except UnreachableHostError:
            raise
        except PlexError as error:
            raise self._failed(summary, error.summary) from error

    def _failed(self, summary: str, reason: str) -> PlexError:
        # A wait that runs out is an HTTP 500 with this text.
        if "context deadline exceeded" in reason:
            reason = "not finished in time"
        return PlexError(f"host {self.host.name}: {summary}: {reason}")


def _reason(error: Any) -> str:
    try:
        return str(error.response.json()["error"])
    except (ValueError, KeyError):
        return str(error)
