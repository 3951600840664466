"""Calls to an Incus server: the socket or HTTPS, operations, time limits, errors."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from operator import getitem
from pathlib import Path
from typing import Any, TypeVar

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.host_spec import HostSpec

CONNECT = 10
"""Seconds in which a server must take a connection and show its certificate."""

ANSWER = 30
"""Seconds in which a server must answer a call that does not wait for an operation."""

START_IT = "start Incus (bin/quickstart does), or correct `socket` in clusters/hosts.yaml"
CHECK_MACHINE = "check that the machine is up; `plexctl host list` shows all hosts"

RUNNING = 103
"""Status of an operation that has not ended."""

LOOK = 10
"""Seconds after which a wait for an operation is repeated, to notice a server that is gone."""

PASSING = (
    "Instance is busy",
    "Instance is running",
    "Failed to retrieve PID of executing child process",  # of a program that was not begun
    "bridge children interfaces",  # of a network: an instance with one of any ended just then
)
"""Reasons for which a busy server refuses a call that it accepts soon after."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client certificate that plexctl shows over HTTPS: files in PEM; the key is private."""

    certificate: Path
    key: Path


class IncusConnection:
    """Calls to one server through pylxd. Safe to use from several threads.

    After the first call without an answer, every further call fails at once with the same error:
    a host that hangs delays a run by one time limit, not by one for each call.
    """

    def __init__(self, spec: HostSpec, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self._credentials = credentials
        self._failure: UnreachableHostError | None = None

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why no further call is made; None while the server answers."""
        return self._failure

    def connect(self) -> None:
        """Find the server, once; UnreachableHostError if it does not answer."""
        _ = self.api

    @cached_property
    def api(self) -> Any:
        import pylxd  # slow to import: only once a host is called
        import requests
        from pylxd.exceptions import ClientConnectionFailed, LXDAPIException

        if self._failure is not None:  # another thread waited for it just now
            raise self._failure
        endpoint = self.spec.url or self.spec.socket
        if self.spec.local and not Path(endpoint).exists():
            self._failure = UnreachableHostError(
                f"host {self.spec.name}: no Incus at {endpoint}", hint=START_IT
            )
            raise self._failure
        session = None if self.spec.local else self._https()
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
                f"host {self.spec.name} does not trust this lab",
                hint=f"add the lab to it: `plexctl host add {self.spec.name} {endpoint} --token`",
            )
        # A bundle named in the environment would replace the server's pinned certificate.
        client.api.session.trust_env = False
        return client.api

    def _https(self) -> Any:
        """A session that accepts the pinned certificate and no other."""
        from plexctl.clients.pinned import pinned_session

        assert self.spec.url is not None
        assert self.spec.certificate is not None
        session = pinned_session(self.spec.url, self.spec.certificate)
        if self._credentials is None:
            raise PlexError(
                f"no client certificate for host {self.spec.name}, which is reached over HTTPS"
            )
        session.cert = (str(self._credentials.certificate), str(self._credentials.key))
        return session

    def _unreachable(self, error: Exception) -> UnreachableHostError:
        """The error of this call and of all further ones."""
        from plexctl.clients.pinned import reason

        name, where = self.spec.name, self.spec.url or self.spec.socket
        if "Fingerprints did not match" in str(error):
            unreachable = UnreachableHostError(
                f"host {name}: {where} shows another certificate than the pinned one",
                hint=f"if the server was reinstalled: `plexctl host add {name} {where} --token`",
            )
        else:
            unreachable = UnreachableHostError(
                f"host {name}: Incus at {where} does not answer",
                details=(reason(error),),
                hint=CHECK_MACHINE if self.spec.url else START_IT,
            )
        self._failure = self._failure or unreachable
        return self._failure

    def objects(self, *path: str) -> list[dict[str, Any]]:
        with self.failing_as(f"the {path[-1]} cannot be read"):
            node = functools.reduce(getitem, path, self.api)
            found: list[dict[str, Any]] = node.get(params={"recursion": 1}).json()["metadata"]
        return found

    def under_way(self) -> list[dict[str, Any]]:
        """The operations that the server is running, of this and of other clients."""
        with self.failing_as("the operations cannot be read"):
            found = self.api.operations.get(params={"recursion": 1}).json()["metadata"]
        return list(found.get("running", ()))

    def delete(self, kind: str, name: str) -> None:
        with self.failing_as(f"{kind[:-1]} {name} cannot be deleted", gone_is_fine=True):
            self.api[kind][name].delete()

    def finish(self, response: Any, timeout: float) -> dict[str, Any]:
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
        """The operation `path` once it has ended, or after `timeout` seconds."""
        from pylxd.exceptions import LXDAPIException

        left = max(timeout, 1)
        while True:
            look = min(left, LOOK)
            left -= look
            try:
                waited = self.api.operations[path].wait.get(
                    params={"timeout": math.ceil(look)}, timeout=(CONNECT, look + ANSWER)
                )
            except LXDAPIException as error:
                if "deadline exceeded" not in _reason(error) or left <= 0:
                    raise
                continue
            done: dict[str, Any] = waited.json()["metadata"]
            if done["status_code"] != RUNNING or left <= 0:
                return done

    def retry(self, what: str, call: Callable[[], _Answer], *, deadline: float = 300) -> _Answer:
        """The answer of `call`, repeated while the server refuses it for a reason that passes.

        `what` is a clause for the error after `deadline` seconds: "network x can be deleted".
        """
        answers: list[_Answer] = []

        def probe() -> Observation:
            try:
                answers.append(call())
            except PlexError as error:
                if not any(reason in str(error) for reason in PASSING):
                    raise
                return Observation(False, error.summary)
            return Observation(True)

        wait(Condition(what, probe, deadline, every=0.5))
        return answers[-1]

    @contextmanager
    def failing_as(self, summary: str, *, gone_is_fine: bool = False) -> Iterator[None]:
        """Turn exceptions of the library into a PlexError that begins with `summary`."""
        import requests
        from pylxd.exceptions import LXDAPIException

        if self._failure is not None:
            raise self._failure
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
        return PlexError(f"host {self.spec.name}: {summary}: {reason}")


def _reason(error: Any) -> str:
    try:
        return str(error.response.json()["error"])
    except (ValueError, KeyError):
        return str(error)
