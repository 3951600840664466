"""The client of OpenTofu and Terraform: arguments by python-terraform, processes by `process`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients import process
from plexctl.clients.environment import NETWORK, TOFU, TOFU_TOKENS, environment
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.files import write_atomic

PLAN = "plexctl.tfplan"
STATE = "terraform.tfstate"
KNOWN = "addresses.json"
"""The addresses in the state when it was last read."""
LOCK = "60s"
"""How long a run waits for the lock on the state, which a killed run may still hold."""
PATIENCE = 120
"""Seconds that an interrupted run has to finish what it has started, and to write its state."""
KEY = "PLEXCTL_KEY_FD"
"""Environment variable with the descriptor of the file that has the state's key."""

REGISTRY = (
    "providers come from the registry, or from a mirror that TF_CLI_CONFIG_FILE names: see"
    " docs/how-to/opentofu.md; `plexctl engine direct` needs none"
)

QUIET = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
CHANGES = 2
"""Exit code of `plan` if there are changes."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change that OpenTofu would make."""

    address: str  # 'module.incus.module.worker.incus_instance.node["demo2"]'
    action: str  # "create", "update", "replace", "delete", "import", …
    reason: str


@dataclass(frozen=True, slots=True)
class Tofu:
    """OpenTofu in one folder. Every call may be repeated. PlexError with its diagnostics."""

    program: Path
    folder: Path
    parallel: int = 10  # objects that it works on at the same time
    key: int | None = None  # an open file with the state's key; None: the state is not encrypted
    files: tuple[int, ...] = ()  # other open files that it inherits
    environment: Mapping[str, str] = field(default_factory=dict)  # without secrets

    def init(self) -> None:
        """Install the providers of the folder, at their pinned versions."""
        self._json("init", (), lambda _: None)

    def has_providers(self) -> bool:
        """Whether the providers that `init` installed are still there."""
        # Explicit levels: files of a mirror are links, which "**" does not follow.
        found = (self.folder / ".terraform" / "providers").glob("*/*/*/*/*/terraform-provider-*")
        return any(found)

    def plan(self, *, targets: Sequence[str] = ()) -> tuple[PlannedChange, ...]:
        """The changes that `apply_plan` would make; with `targets` only at these addresses."""
        changes: list[PlannedChange] = []

        def look(event: Event) -> None:
            if event.get("type") == "planned_change":
                changes.append(_change(event["change"]))

        options: dict[str, Any] = {
            "out": PLAN,
            "detailed_exitcode": True,
            "target": list(targets),
            "parallelism": self.parallel,
            "lock_timeout": LOCK,
        }
        self._json("plan", (), look, (0, CHANGES), **options)
        return tuple(change for change in changes if change.action not in ("noop", "read"))

    def apply_plan(self, on_event: Callable[[Event], None]) -> None:
        """Apply exactly the last `plan`."""
        self._json("apply", (PLAN,), on_event, parallelism=self.parallel, lock_timeout=LOCK)

    def shown_plan(self) -> str:
        """The last plan as OpenTofu prints it."""
        return self._run("show", PLAN, no_color=True).stdout.strip()

    def drop_plan(self) -> None:
        (self.folder / PLAN).unlink(missing_ok=True)

    def addresses(self) -> frozenset[str]:
        """Addresses of all objects in the state; empty if there is no state yet."""
        state, known = self.folder / STATE, self.folder / KNOWN
        content = state.read_bytes() if state.exists() else b""
        if not content:  # also empty after a kill
            return frozenset()
        # One program cannot read the state of another.
        digest = hashlib.sha256(bytes(self.program) + b"\0" + content).hexdigest()
        cached = json.loads(known.read_text()) if known.exists() else {}
        if cached.get("state") == digest:
            return frozenset(cached["addresses"])
        done = self._run("state", "list", check=False)
        if done.code:
            raise PlexError("the state cannot be read", details=done.stderr.splitlines()[-8:])
        addresses = sorted(line for line in done.stdout.split("\n") if line)
        record = json.dumps({"state": digest, "addresses": addresses})
        write_atomic(known, record.encode(), 0o600)
        return frozenset(addresses)

    def forget(self, addresses: Sequence[str]) -> None:
        """Remove objects from the state; the objects themselves are not changed."""
        if addresses:
            self._run("state rm", *addresses, lock_timeout=LOCK)

    def _run(self, *words: str, check: bool = True, **options: Any) -> CommandResult:
        return process.run(
            self._argv(*words, **options),
            timeout=120,
            cwd=self.folder,
            env=self._environment(),
            check=check,
            pass_fds=self._files(),
        )

    def _environment(self, *lists: Iterable[str]) -> dict[str, str]:
        """`lists` of variables of the user, beside those that say where providers come from."""
        key = {} if self.key is None else {KEY: str(self.key)}
        users = environment(TOFU, *lists, prefixes=(TOFU_TOKENS,))
        return {**users, **self.environment, **QUIET, **key}

    def _files(self) -> tuple[int, ...]:
        return self.files if self.key is None else (self.key, *self.files)

    def _json(
        self,
        verb: str,
        words: Sequence[str],
        on_event: Callable[[Event], None],
        good: Sequence[int] = (0,),
        **options: Any,
    ) -> None:
        """Run a verb with `-json`; call `on_event` with each of its events."""
        errors: list[Event] = []
        last: deque[str] = deque(maxlen=process.LAST_LINES)

        def read(line: str) -> None:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                last.append(line)
                return
            if event.get("type") == "diagnostic" and event["diagnostic"]["severity"] == "error":
                errors.append(event["diagnostic"])
            on_event(event)

        argv = self._argv(verb, *words, json=True, input=False, **options)
        # Providers come from the Internet; no proxy is between plexctl and a host.
        network = (NETWORK,) if verb == "init" else ()
        code = process.stream(
            argv,
            read,
            cwd=self.folder,
            env=self._environment(*network),
            pass_fds=self._files(),
            patience=PATIENCE,
        )
        if code < 0:
            raise PlexError(
                f"{self.program.name} {verb} was killed ({signal.Signals(-code).name})",
                hint="run the command again: it finds what was created",
            )
        if code not in good or errors:
            raise PlexError(
                f"{self.program.name} {verb} failed",
                details=tuple(_error_lines(errors)) or tuple(last),
                hint=REGISTRY if verb == "init" else f"the folder of its run: {self.folder}",
            )

    def _argv(self, verb: str, *words: str, **options: Any) -> list[str]:
        from python_terraform import IsFlagged, Terraform

        flags = {
            name: IsFlagged if value is True and name in FLAGS else value
            for name, value in options.items()
            if value not in ([], None)
        }
        # The library would read the state of the folder, and fail if the state is broken.
        builder = Terraform(working_dir=os.devnull, terraform_bin_path=str(self.program))
        return [str(word) for word in builder.generate_cmd_string(verb, *words, **flags)]


def is_terraform(program: Path) -> bool:
    return program.name == "terraform"


FLAGS = frozenset({"json", "detailed_exitcode", "no_color"})
"""Options without a value."""


def _change(change: Mapping[str, Any]) -> PlannedChange:
    action = "import" if "importing" in change and change["action"] == "noop" else change["action"]
    return PlannedChange(change["resource"]["addr"], action, str(change.get("reason", "")))


def _error_lines(errors: Sequence[Event]) -> Iterator[str]:
    for error in errors:
        where = f"{error['address']}: " if error.get("address") else ""
        yield f"{where}{error['summary']}"
        yield from (f"  {line}" for line in str(error.get("detail", "")).splitlines() if line)
