"""How calls to Proxmox VE are made: the pinned certificate, tasks, locks, time limits, errors."""

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
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.condition import Condition, Observation, TimedOutError, wait
from plexctl.model.hosts import HostSpec, Proxmox
from plexctl.model.secret import Secret

CONNECT, ANSWER = 10, 30
"""Seconds in which a server must take a connection, and answer a call."""

REACH = 20.0
"""Seconds that the node may be out of reach of the server that is asked."""

PATIENCE = 180.0
"""Seconds for which others may hold what a call needs."""

AT_ONCE = 10
"""Calls under way: as many connections as the library keeps."""

Parameters = Mapping[str, object]
Path = tuple[str | int, ...]


class ProxmoxConnection:
    """Calls to one node of a Proxmox cluster through proxmoxer. Safe to use from several threads.

    `secret` belongs to the API token that the host names, or fetches it once it is needed. A
    server that has not answered once is not asked again.
    """

    def __init__(
        self,
        host: HostSpec,
        secret: Secret | Callable[[], Secret],
        *,
        patience: float = PATIENCE,
        reach: float = REACH,
    ) -> None:
        self.host = host
        self._secret = secret
        self._patience = patience
        self._reach = reach
        self._silence: UnreachableHostError | None = None
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @property
    def unreachable(self) -> UnreachableHostError | None:
        """Why the server is not asked any more; None while it answers."""
        return self._silence

    @property
    def settings(self) -> Proxmox:
        assert self.host.proxmox is not None, self.host.name  # the configuration is checked for it
        return self.host.proxmox

    @property
    def node(self) -> Path:
        return ("nodes", self.settings.node)

    # -- calls

    def _call(self, what: str, method: str, *path: str | int, **parameters: object) -> Any:
        """The answer of a call that changes nothing later; `what` reads after "cannot"."""
        return self._persist(what, lambda: self._reached(what, method, path, parameters))

    def _task(
        self, what: str, method: str, *path: str | int, deadline: float, **parameters: object
    ) -> None:
        """A call that is done by a task: wait for its end, `deadline` seconds at most."""

        def attempt() -> None:
            upid = self._reached(what, method, path, parameters)
            if isinstance(upid, str) and upid.startswith("UPID:"):
                self._ended(what, upid, deadline)

        self._persist(what, attempt)

    def _persist(self, what: str, attempt: Callable[[], Any]) -> Any:
        """Try again while somebody holds a lock."""
        answer: Any = None

        def probe() -> Observation:
            nonlocal answer
            try:
                answer = attempt()
            except PassingError as reason:
                return Observation(False, str(reason))
            return Observation(True)

        can = f"host {self.host.name} can {what}"
        wait(Condition(can, probe, deadline=self._patience, every=0.5))
        return answer

    def _reached(self, what: str, method: str, path: Path, parameters: Parameters) -> Any:
        """Try again while the node cannot be reached from the server that is asked."""
        answer: Any = None

        def probe() -> Observation:
            nonlocal answer
            if self._silence is not None:
                raise self._silence
            try:
                answer = self._once(what, method, path, parameters)
            except NotReachedError as reason:
                return Observation(False, str(reason))
            return Observation(True)

        name = self.settings.node
        condition = Condition(f"node {name} is reached", probe, deadline=self._reach, every=0.5)
        try:
            wait(condition)
        except TimedOutError as error:
            raise self._not_answering(
                f"node {name} cannot be reached from {self.host.url}",
                error.details,
                hint=f"is {name} up? `node` of {self.host.name} in clusters/hosts.yaml names it",
            ) from None
        return answer

    def _once(self, what: str, method: str, path: Path, parameters: Parameters) -> Any:
        import requests
        from proxmoxer.core import ResourceException

        tries = 3 if method == "get" else 1
        while True:
            tries -= 1
            try:
                with self._turns, self._api(method) as api, ExitStack() as files:
                    sent = {key: _sent(value, files) for key, value in parameters.items()}
                    return getattr(api([str(part) for part in path]), method)(**sent)
            except ResourceException as error:
                raise refusal(self.host, what, method, error) from error
            except requests.RequestException as error:
                broken = isinstance(error, requests.exceptions.ChunkedEncodingError)
                dropped = broken or "Connection aborted" in str(error)
                if dropped and tries:
                    continue
                if dropped and method != "get":
                    raise lost(self.host, what) from error
                raise self._unreachable(error) from error

    # -- tasks

    def _ended(self, what: str, upid: str, deadline: float) -> None:
        """Wait until a task has ended well. PlexError with the last lines of its log."""
        place = ("nodes", upid.split(":")[1], "tasks", upid)
        status: Mapping[str, Any] = {}

        def probe() -> Observation:
            nonlocal status
            status = self._reached(what, "get", (*place, "status"), {})
            return Observation(status["status"] == "stopped", f"task {upid} is {status['status']}")

        wait(
            Condition(
                f"host {self.host.name} can {what}",
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
        summary = f"{self._cannot(what)}: {outcome}"
        raise PlexError(summary, details=self._log(what, place))

    def _log(self, what: str, task: Path) -> tuple[str, ...]:
        lines = self._reached(what, "get", (*task, "log"), {"limit": 1000}) or ()
        said = [str(line.get("t", "")) for line in lines]
        return tuple(line for line in said if line and not line.startswith("TASK "))[-3:]

    # -- the connection

    @contextmanager
    def _api(self, method: str) -> Iterator[Any]:
        """The library. A kept connection may end at any time: no change is sent into one."""
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

        from plexctl.clients.pinned import pinned_session

        url, pin = self.host.url, self.host.certificate
        assert url is not None, self.host.name
        assert pin is not None, self.host.name
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
        # Neither a proxy nor a bundle that the environment names has a say.
        session.trust_env = False
        session.mount(f"https://{parts.netloc}", pinned_session(url, pin).adapters[url])
        return api

    def _unreachable(self, error: Exception) -> UnreachableHostError:
        from plexctl.clients.pinned import reason

        name, where = self.host.name, self.host.url
        if "Fingerprints did not match" in str(error):
            return self._not_answering(
                f"{where} has another certificate than the one that is known",
                hint=f"if it was made anew: `plexctl host add {name} {where} --token`",
            )
        return self._not_answering(
            f"Proxmox VE at {where} does not answer",
            (reason(error),),
            hint="is the machine up? `plexctl host list` asks all hosts",
        )

    def _not_answering(
        self, summary: str, details: tuple[str, ...] = (), *, hint: str
    ) -> UnreachableHostError:
        """From now on nobody waits for the server again."""
        unreachable = UnreachableHostError(
            f"host {self.host.name}: {summary}", details=details, hint=hint
        )
        self._silence = self._silence or unreachable
        return self._silence

    def _cannot(self, what: str) -> str:
        return cannot(self.host, what)


def _sent(value: object, files: ExitStack) -> object:
    """A parameter as the library wants it: a file is open, and has the name that it is to have."""
    if isinstance(value, tuple):
        return _Upload(*value)
    return files.enter_context(value.open("rb")) if isinstance(value, FilePath) else value


class _Upload(io.BytesIO):
    """Bytes with the name of a file, which the library asks for."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name
