"""Calls to Proxmox VE: the pinned certificate, tasks, locks, time limits, errors."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from plexctl.clients.proxmox.refusals import (
    PASSING,
    NotReachedError,
    PassingError,
    cannot,
    lost,
    refusal,
)
from plexctl.clients.server_clock import ServerClock
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.condition import Condition, Observation, TimedOutError, wait
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.secret import Secret

CONNECT, ANSWER = 10, 30
"""Seconds in which a server must take a connection, and answer a call."""

REACH = 20.0
"""Seconds that the node may be out of reach of the server that takes the calls."""

PATIENCE = 180.0
"""Seconds for which another process may hold a lock that a call needs."""

AT_ONCE = 10
"""Calls at the same time: as many connections as the library keeps."""

Parameters = Mapping[str, object]
Path = tuple[str | int, ...]


class ProxmoxConnection:
    """Calls to one node of a Proxmox cluster through proxmoxer. Safe to use from several threads.

    `secret` belongs to the API token that the host names, or reads it once it is needed. After the
    first call without an answer, every further call fails at once with the same error.
    """

    def __init__(
        self,
        spec: HostSpec,
        secret: Secret | Callable[[], Secret],
        *,
        patience: float = PATIENCE,
        reach: float = REACH,
    ) -> None:
        self.spec = spec
        self._secret = secret
        self._patience = patience
        self._reach = reach
        self._failure: UnreachableHostError | None = None
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self.clock = ServerClock()

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why no further call is made; None while the server answers."""
        return self._failure

    @property
    def settings(self) -> Proxmox:
        assert self.spec.proxmox is not None, self.spec.name  # the configuration is checked
        return self.spec.proxmox

    @property
    def node(self) -> Path:
        return ("nodes", self.settings.node)

    # -- calls

    def call(self, what: str, method: str, *path: str | int, **parameters: object) -> Any:
        """The answer of a call that starts no task; `what` reads after "cannot": "start demo1"."""
        return self._persist(what, lambda: self._reached(what, method, path, parameters))

    def task(
        self, what: str, method: str, *path: str | int, deadline: float, **parameters: object
    ) -> None:
        """A call that starts a task: wait for its end, `deadline` seconds at most."""

        def attempt() -> None:
            upid = self._reached(what, method, path, parameters)
            if isinstance(upid, str) and upid.startswith("UPID:"):
                self._ended(what, upid, deadline)

        self._persist(what, attempt)

    def _persist(self, what: str, attempt: Callable[[], Any]) -> Any:
        """Retry while another process holds a lock."""
        answer: Any = None

        def probe() -> Observation:
            nonlocal answer
            try:
                answer = attempt()
            except PassingError as reason:
                return Observation(False, str(reason))
            return Observation(True)

        unlocked = f"host {self.spec.name} can {what}"
        wait(Condition(unlocked, probe, deadline=self._patience, every=0.5))
        return answer

    def _reached(self, what: str, method: str, path: Path, parameters: Parameters) -> Any:
        """Retry while the server that receives the call cannot reach the node."""
        answer: Any = None

        def probe() -> Observation:
            nonlocal answer
            if self._failure is not None:
                raise self._failure
            try:
                answer = self._once(what, method, path, parameters)
            except NotReachedError as reason:
                return Observation(False, str(reason))
            return Observation(True)

        name = self.settings.node
        condition = Condition(f"node {name} is reachable", probe, deadline=self._reach, every=0.5)
        try:
            wait(condition)
        except TimedOutError as error:
            raise self._not_answering(
                f"node {name} cannot be reached from {self.spec.url}",
                error.details,
                hint=f"check that {name} is up; hosts.yaml gives it as `node` of {self.spec.name}",
            ) from None
        return answer

    def _once(self, what: str, method: str, path: Path, parameters: Parameters) -> Any:
        import requests
        from proxmoxer.core import ResourceException

        tries = 3 if method == "get" else 1
        while True:
            tries -= 1
            try:
                with self._slots, self._api(method) as api, ExitStack() as files:
                    sent = {key: _sent(value, files) for key, value in parameters.items()}
                    return getattr(api([str(part) for part in path]), method)(**sent)
            except ResourceException as error:
                raise refusal(self.spec, what, method, error) from error
            except requests.RequestException as error:
                broken = isinstance(error, requests.exceptions.ChunkedEncodingError)
                dropped = broken or "Connection aborted" in str(error)
                if dropped and tries:
                    continue
                if dropped and method != "get":
                    raise lost(self.spec, what) from error
                raise self._unreachable(error) from error

    # -- tasks

    def _ended(self, what: str, upid: str, deadline: float) -> None:
        """Wait until a task has succeeded; else PlexError with the last lines of its log."""
        place = ("nodes", upid.split(":")[1], "tasks", upid)
        status: Mapping[str, Any] = {}

        def probe() -> Observation:
            nonlocal status
            status = self._reached(what, "get", (*place, "status"), {})
            return Observation(status["status"] == "stopped", f"task {upid} is {status['status']}")

        wait(
            Condition(
                f"host {self.spec.name} has finished a task: {what}",
                probe,
                deadline=deadline,
                every=0.25,
                explain=lambda: self._log(what, place),
            )
        )
        outcome = str(status.get("exitstatus", ""))
        if outcome == "OK" or outcome.startswith("WARNINGS"):
            return
        if PASSING.search(outcome):
            raise PassingError(outcome)
        summary = f"{cannot(self.spec, what)}: {outcome}"
        raise PlexError(summary, details=self._log(what, place))

    def _log(self, what: str, task: Path) -> tuple[str, ...]:
        lines = self._reached(what, "get", (*task, "log"), {"limit": 1000}) or ()
        said = [str(line.get("t", "")) for line in lines]
        return tuple(line for line in said if line and not line.startswith("TASK "))[-3:]

    # -- the connection

    @contextmanager
    def _api(self, method: str) -> Iterator[Any]:
        """The library. A kept connection may end at any time: only reads use one."""
        if method == "get":
            yield self._kept
            return
        api = self._connect()
        try:
            yield api
        finally:
            api._store["session"].close()

    @cached_property
    def _kept(self) -> Any:
        return self._connect()

    @cached_property
    def _token(self) -> Secret:
        return self._secret if isinstance(self._secret, Secret) else self._secret()

    def _connect(self) -> Any:
        from proxmoxer import ProxmoxAPI

        from plexctl.clients.pinned_session import pinned_session

        url, pin = self.spec.url, self.spec.certificate
        assert url is not None, self.spec.name
        assert pin is not None, self.spec.name
        parts = urlsplit(url)
        user, _, token = self.settings.token.partition("!")
        api: Any = ProxmoxAPI(
            parts.hostname,
            port=parts.port or 8006,
            user=user,
            token_name=token,
            token_value=self._token.reveal_text(),
            timeout=(CONNECT, ANSWER),
        )
        session = api._store["session"]
        # Neither a proxy nor a CA bundle of the environment may replace the pinned certificate.
        session.trust_env = False
        self.clock.watch(session)
        session.mount(f"https://{parts.netloc}", pinned_session(url, pin).adapters[url])
        return api

    def _unreachable(self, error: Exception) -> UnreachableHostError:
        from plexctl.clients.pinned import OTHER_CERTIFICATE, reason

        name, where = self.spec.name, self.spec.url
        if OTHER_CERTIFICATE in str(error):
            return self._not_answering(
                f"{where} shows another certificate than the pinned one",
                hint=f"if the server was reinstalled: `plexctl host add {name} {where} --token`",
            )
        return self._not_answering(
            f"Proxmox VE at {where} does not answer",
            (reason(error),),
            hint="check that the machine is up; `plexctl host list` shows all hosts",
        )

    def _not_answering(
        self, summary: str, details: tuple[str, ...] = (), *, hint: str
    ) -> UnreachableHostError:
        """The error of this call and of all further ones."""
        unreachable = UnreachableHostError(
            f"host {self.spec.name}: {summary}", details=details, hint=hint
        )
        self._failure = self._failure or unreachable
        return self._failure


def _sent(value: object, files: ExitStack) -> object:
    """A parameter as the library wants it: a file is open, and has the name it gets there."""
    if isinstance(value, tuple):
        return _Upload(*value)
    return files.enter_context(value.open("rb")) if isinstance(value, FilePath) else value


class _Upload(io.BytesIO):
    """Bytes with the name of a file, which the library asks for."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name
