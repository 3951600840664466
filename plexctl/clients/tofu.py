"""The one door to OpenTofu, or Terraform: its words by python-terraform, its process by ours."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plexctl.clients import process
from plexctl.errors import PlexError

PLAN = "plexctl.tfplan"
LOCK = "60s"
"""How long a run waits for one that was killed to give up the state."""

QUIET = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
CHANGES = 2
"""What `plan` ends with if there are changes."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change that OpenTofu would make."""

    address: str  # 'module.incus.incus_instance.worker["demo2"]'
    action: str  # "create", "update", "replace", "delete", "import", …
    reason: str


@dataclass(frozen=True, slots=True)
class Tofu:
    """OpenTofu in one folder. Every call may be made again; PlexError with its own diagnostics."""

    program: Path
    folder: Path
    parallel: int = 10  # how many objects it works on at once

    @property
    def terraform(self) -> bool:
        """Whether it is Terraform: that one keeps its state as it is."""
        return self.program.name == "terraform"

    def init(self) -> None:
        """Have the providers of the folder there, at their pinned versions."""
        self._json("init", (), lambda _: None)

    def plan(
        self, *, targets: Sequence[str] = (), on_event: Callable[[Event], None] = lambda _: None
    ) -> tuple[PlannedChange, ...]:
        """What `apply_plan` would do then; `targets` are addresses, without them it is all."""
        changes: list[PlannedChange] = []

        def look(event: Event) -> None:
            if event.get("type") == "planned_change":
                changes.append(_change(event["change"]))
            on_event(event)

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
        """Do exactly what the last `plan` said."""
        self._json("apply", (PLAN,), on_event, parallelism=self.parallel, lock_timeout=LOCK)
        (self.folder / PLAN).unlink(missing_ok=True)

    def shown_plan(self) -> str:
        """The last plan as OpenTofu shows it."""
        done = process.run(
            self._argv("show", PLAN, no_color=True), timeout=60, cwd=self.folder, env=QUIET
        )
        return done.stdout.strip()

    def addresses(self) -> frozenset[str]:
        """Of all objects in the state; none if there is no state yet."""
        done = process.run(
            self._argv("state", "list"), timeout=60, cwd=self.folder, env=QUIET, check=False
        )
        if done.code and "No state file was found" not in done.stderr:
            raise PlexError("the state cannot be read", details=done.stderr.splitlines()[-8:])
        return frozenset(done.stdout.split("\n")) - {""}

    def forget(self, addresses: Sequence[str]) -> None:
        """Take objects out of the state; they themselves stay as they are."""
        if addresses:
            process.run(
                self._argv("state", "rm", *addresses), timeout=120, cwd=self.folder, env=QUIET
            )

    def _json(
        self,
        verb: str,
        words: Sequence[str],
        on_event: Callable[[Event], None],
        good: Sequence[int] = (0,),
        **options: Any,
    ) -> None:
        """Run a verb with `-json`, and hand over what it tells as it tells it."""
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
        code = process.stream(argv, read, cwd=self.folder, env=QUIET)
        if code not in good or errors:
            raise PlexError(
                f"{self.program.name} {verb} failed",
                details=tuple(_told(errors)) or tuple(last),
                hint=f"the folder of its run: {self.folder}",
            )

    def _argv(self, verb: str, *words: str, **options: Any) -> list[str]:
        from python_terraform import IsFlagged, Terraform

        flags = {
            name: IsFlagged if value is True and name in FLAGS else value
            for name, value in options.items()
            if value not in ([], None)
        }
        builder = Terraform(working_dir=str(self.folder), terraform_bin_path=str(self.program))
        return [str(word) for word in builder.generate_cmd_string(verb, *words, **flags)]


FLAGS = frozenset({"json", "detailed_exitcode", "no_color"})
"""Options without a value."""


def _change(change: Mapping[str, Any]) -> PlannedChange:
    action = "import" if "importing" in change and change["action"] == "noop" else change["action"]
    return PlannedChange(change["resource"]["addr"], action, str(change.get("reason", "")))


def _told(errors: Sequence[Event]) -> Iterator[str]:
    for error in errors:
        where = f"{error['address']}: " if error.get("address") else ""
        yield f"{where}{error['summary']}"
        yield from (f"  {line}" for line in str(error.get("detail", "")).splitlines() if line)
