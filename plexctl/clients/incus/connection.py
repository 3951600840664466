"""Calls to an Incus server: the socket or HTTPS, operations, time limits, errors."""

from __future__ import annotations

import functools
import grp
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from plexctl.clients.incus import restart
from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.incus.restart import refused, repeat_calls
from plexctl.clients.incus.server import require_incus
from plexctl.clients.incus.stopped import may_restart, record_refusal, start_hint
from plexctl.clients.server_clock import ServerClock
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.keys.validity import SET_HOST_CLOCK, host_clock_fault
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.host_spec import HostSpec
from plexctl.model.settings import TAG

if TYPE_CHECKING:
    from plexctl.clients.incus.plain_reads import PlainReads

CONNECT = 10
"""Seconds in which a server must take a connection and show its certificate."""

ANSWER = 30
"""Seconds in which a server must answer a call that does not wait for an operation."""

FORBIDDEN = 403
"""Status of an answer to a client that lacks a permission."""

REFUSED = ("not have permission", "restricted", "doesn't allow")
"""Parts of reasons for which a server refuses a client that is restricted to a project."""

RUNNING = 103
"""Status of an operation that has not ended."""

LOOK = 10
"""Seconds after which a wait for an operation is repeated, to notice a server that is gone."""

PASSING = (
    "Instance is busy",
    "Instance is running",
    "Failed to retrieve PID of executing child process",  # of a program that was not begun
    "ETag doesn't match",  # another client has changed the object since it was read
    "unavailable on this server",  # of a network, some seconds after the server's own start
    "bridge children interfaces",  # of a network: an instance with one of any ended just then
)
"""Reasons for which a busy server refuses a call that it accepts soon after."""

_Answer = TypeVar("_Answer")


class RestartedHostError(PlexError):
    """The server was restarted while it worked on a call, whose result is unknown."""


class IncusConnection:
    """Calls to one server through pylxd; simple reads go through `PlainReads`.

    Safe to use from several threads.

    After the first call without an answer, every further call fails at once with the same error:
    a host that hangs delays a run by one time limit, not by one for each call.
    """

    def __init__(self, spec: HostSpec, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self.credentials = credentials
        self._failure: UnreachableHostError | None = None
        self._restart: RestartedHostError | None = None
        self.clock = ServerClock()
        self.version = ""  # of the server; empty before the first call
        self._plain: PlainReads | None = None

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why no further call is made; None while the server answers."""
        return self._failure

    def connect(self) -> None:
        """Find the server, once; UnreachableHostError if it does not answer."""
        _ = self.api

    def connect_to_read(self) -> None:
        """Find the server, like `connect`. Reads that follow need no pylxd if it answers."""
        if self._plain is not None or "api" in self.__dict__:
            return
        plain = self._plain_reads()
        info = plain and self._read(plain, "/1.0")
        if not plain or not info or info.get("auth") != "trusted":
            self.connect()
            return
        self._require_incus(info)
        self._plain = plain

    def _plain_reads(self) -> PlainReads | None:
        # `plan` and `status` read hosts in a process of their own, which alone needs this.
        from plexctl.clients.incus.plain_reads import PlainReads

        if self.spec.url and self.credentials is None:
            return None
        clock = self.clock if self.spec.url else None
        return PlainReads(self.spec, self.credentials, clock, CONNECT)

    def _read(self, plain: PlainReads, path: str, **params: str) -> Any:
        """What the server has at `path`; None if pylxd has to call again."""
        if self._failure is not None:
            raise self._failure
        try:
            return plain.read(path, ANSWER, **params)
        except TimeoutError as error:
            raise self._unreachable(error) from error

    def _require_incus(self, info: Mapping[str, Any]) -> None:
        require_incus(self.spec.name, self.spec.url or self.spec.socket, info)
        self.version = str(info["environment"].get("server_version", ""))

    @cached_property
    def api(self) -> Any:
        import pylxd  # slow to import: only once a host is called
        import requests
        from pylxd.exceptions import ClientConnectionFailed, LXDAPIException

        if self._failure is not None:  # another thread waited for it just now
            raise self._failure
        endpoint = self.spec.url or self.spec.socket
        end = time.monotonic() + CONNECT
        while not self.spec.url and not Path(endpoint).exists():
            if time.monotonic() >= end or not may_restart(self.spec):
                self._failure = UnreachableHostError(
                    f"host {self.spec.name}: no Incus at {endpoint}", hint=start_hint(self.spec)
                )
                raise self._failure
            time.sleep(restart.EVERY)
        if not self.spec.url and not os.access(endpoint, os.R_OK | os.W_OK):
            self._failure = UnreachableHostError(
                f"host {self.spec.name}: this user may not use the Incus at {endpoint}",
                hint=_join(Path(endpoint)),
            )
            raise self._failure
        session = self._https() if self.spec.url else None
        while True:
            try:
                client = pylxd.Client(
                    endpoint=endpoint,
                    timeout=(CONNECT, ANSWER),
                    session=session,
                    project=self.spec.project,
                )
                break
            except (
                ClientConnectionFailed,
                LXDAPIException,
                requests.RequestException,
                OSError,
            ) as error:
                # A service that restarts just now takes no connection for some seconds.
                if not refused(error):
                    raise self._unreachable(error) from error
                if time.monotonic() >= end or not may_restart(self.spec):
                    record_refusal(self.spec)
                    raise self._unreachable(error) from error
            time.sleep(restart.EVERY)
        if not client.trusted:
            if fault := host_clock_fault(self.spec.name, self.clock.offset):
                raise UnreachableHostError(fault, hint=SET_HOST_CLOCK)
            again = f"host add {self.spec.name} {endpoint} --token"
            if self.spec.confined:
                again = f"host trust {self.spec.name}"
            raise UnreachableHostError(
                f"host {self.spec.name} does not trust this lab",
                hint=f"add the lab to it: `plexctl {again}`",
            )
        # A bundle named in the environment would replace the server's pinned certificate.
        client.api.session.trust_env = False
        self._require_incus(client.host_info)
        repeat_calls(client.api.session)
        return client.api

    def _https(self) -> Any:
        """A session that accepts the pinned certificate and no other."""
        from plexctl.clients.pinned_session import pinned_session

        assert self.spec.url is not None
        assert self.spec.certificate is not None
        session = pinned_session(self.spec.url, self.spec.certificate)
        if self.credentials is None:
            raise PlexError(
                f"no client certificate for host {self.spec.name}, which is reached over HTTPS"
            )
        session.cert = (str(self.credentials.certificate), str(self.credentials.key))
        self.clock.watch(session)
        return session

    def _unreachable(self, error: Exception) -> UnreachableHostError:
        """The error of this call and of all further ones."""
        from plexctl.clients.pinned import OTHER_CERTIFICATE, reason

        name, where = self.spec.name, self.spec.url or self.spec.socket
        if OTHER_CERTIFICATE in str(error):
            unreachable = UnreachableHostError(
                f"host {name}: {where} shows another certificate than the pinned one",
                hint=f"if the server was reinstalled: `plexctl host add {name} {where} --token`",
            )
        else:
            unreachable = UnreachableHostError(
                f"host {name}: Incus at {where} does not answer",
                details=(reason(error),),
                hint=start_hint(self.spec),
            )
        self._failure = self._failure or unreachable
        return self._failure

    def _broken_off(self, error: Exception) -> PlexError:
        """The error of a call that was broken off: of a restart, or that of `_unreachable`."""
        import requests
        from pylxd.exceptions import LXDAPIException

        if isinstance(error, requests.Timeout) or "api" not in self.__dict__:
            return self._unreachable(error)
        try:
            self.api.get()  # repeated while the server restarts
        except (requests.RequestException, LXDAPIException) as again:
            return self._unreachable(again)
        return self._restarted()

    def _restarted(self) -> RestartedHostError:
        """One error for all calls that a restart has broken off."""
        self._restart = self._restart or RestartedHostError(
            f"host {self.spec.name}: Incus was restarted while this command used it",
            hint="run the command again: it completes what is missing",
        )
        return self._restart

    def objects(self, *path: str, all_projects: bool = False) -> list[dict[str, Any]]:
        """All objects of a kind.

        With `all_projects`, of every project that this client may see: one that is confined to a
        project is refused that, and gets those of its own.
        """
        if self._plain is not None and not all_projects:
            where = "/".join(("/1.0", *(quote(part, safe="") for part in path)))
            plainly = self._read(self._plain, where, recursion="1")
            if plainly is not None:
                return list(plainly)
        from pylxd.exceptions import LXDAPIException

        with self.failing_as(f"the {_plural(path)} cannot be read"):
            node = functools.reduce(getitem, path, self.api)
            if all_projects and not self.spec.confined:
                try:
                    everywhere = {"recursion": 1, "all-projects": "true"}
                    return list(node.get(params=everywhere).json()["metadata"])
                except LXDAPIException as error:
                    if error.response.status_code != FORBIDDEN:
                        raise
            found: list[dict[str, Any]] = node.get(params={"recursion": 1}).json()["metadata"]
        return found

    def may_use(self, project: str) -> bool:
        """Whether a server, over HTTPS, lets this client use a project."""
        with self.failing_as(f"the project {project} cannot be read"):
            # A list of its objects is refused with 500 by some versions, a single object with 403.
            url = f"{self.spec.url}/1.0/projects/{project}"
            answer = self.api.session.get(url, timeout=(CONNECT, ANSWER))
            if answer.status_code not in (200, FORBIDDEN):
                raise PlexError(f"the answer is {answer.status_code} {answer.reason}")
        return bool(answer.status_code == 200)

    def under_way(self) -> list[dict[str, Any]]:
        """The operations that the server is running, of this and of other clients."""
        with self.failing_as("the operations cannot be read"):
            found = self.api.operations.get(params={"recursion": 1}).json()["metadata"]
        return list(found.get("running", ()))

    def set_tags(self, tags: Mapping[str, str], name: str, *path: str) -> None:
        """Add `user.plex.*` keys to the config of the object `name` below `path`."""
        kind = _plural(path).removesuffix("s")
        with self.failing_as(f"{kind} {name} cannot be tagged", gone_is_fine=True):
            node = functools.reduce(getitem, path, self.api)[name]
            config = {f"{TAG}{key}": value for key, value in tags.items()}
            self.finish(node.patch(json={"config": config}), 60)

    def delete(self, kind: str, name: str) -> None:
        with self.failing_as(f"{kind[:-1]} {name} cannot be deleted", gone_is_fine=True):
            self.api[kind][name].delete()

    def finish(self, response: Any, timeout: float) -> dict[str, Any]:
        """Wait for the operation that `response` names; returns it."""
        operation = response.json()
        if operation.get("type") != "async":
            return dict(operation)
        path = operation["operation"].rsplit("/", 1)[1]
        done = self.ended(path, timeout)
        if done["status_code"] != 200:
            raise PlexError(done.get("err") or f"the operation is {done['status']}")
        return done

    def ended(self, path: str, timeout: float) -> dict[str, Any]:
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
                if error.response.status_code == 404:  # a server forgets them when it ends
                    raise self._restarted() from error
                if "deadline exceeded" not in reason_of(error) or left <= 0:
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
            reason = reason_of(error)
            gone = error.response.status_code == 404 or "already stopped" in reason
            if gone_is_fine and gone:
                return
            raise self._failed(summary, reason) from error
        except json.JSONDecodeError as error:
            raise self._failed(summary, str(error)) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise self._broken_off(error) from error
        except requests.RequestException as error:
            from plexctl.clients.pinned import reason as plain_reason

            raise self._failed(summary, plain_reason(error)) from error
        except (UnreachableHostError, RestartedHostError, UsageError):
            raise
        except PlexError as error:
            raise self._failed(summary, error.summary) from error

    def _failed(self, summary: str, reason: str) -> PlexError:
        if self.spec.confined and any(sign in reason for sign in REFUSED):
            return PlexError(
                f"host {self.spec.name}: {summary}: {reason}",
                details=(f"the lab is confined to the project {self.spec.project} there",),
                hint=f"an administrator of the host runs `plexctl host trust {self.spec.name}`",
            )
        # A wait that runs out is an HTTP 500 with this text.
        if "context deadline exceeded" in reason:
            reason = "not finished in time"
        return PlexError(f"host {self.spec.name}: {summary}: {reason}")


def _plural(path: Sequence[str]) -> str:
    """The kind of the objects at a path of the API, for messages: "networks"."""
    return "volumes" if path[-1] == "custom" else path[-1]


def _join(socket: Path) -> str:
    """A hint: the group that may use a socket."""
    number = socket.stat().st_gid
    try:
        name = grp.getgrgid(number).gr_name
    except KeyError:
        name = str(number)
    return f"join its group, and log in again: `sudo usermod -aG {name} $USER`"


def reason_of(error: Any) -> str:
    """The reason in an error of the library."""
    try:
        return str(error.response.json()["error"])
    except (ValueError, KeyError):
        return str(error)
