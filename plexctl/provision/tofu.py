"""The engine `tofu`: the same resources as those of `direct`, made by OpenTofu or Terraform.

What is to be done is decided as for `direct`, from what the hosts have; OpenTofu's own plan comes
to the same, and its state is only what it needs for that. So a plex can go from one engine to the
other, and what a crash left outside the state is found by its tags.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plexctl.clients.tofu import Event, PlannedChange, Tofu
from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.model.files import write_atomic, write_private
from plexctl.model.hosts import Host
from plexctl.model.observed import HostState
from plexctl.plan.resources import Instance, Resource
from plexctl.provision.diff import find
from plexctl.provision.direct import LEAVING, DirectEngine
from plexctl.provision.encryption import Key, encrypted
from plexctl.provision.engine import Action, Change, Wishes
from plexctl.provision.tfvars import address, import_id, tags_of, tfvars, triggers, whole

VARIABLES = "terraform.tfvars.json"
IMPORTS = "imports.tf.json"
ROOT = "incus"
"""The folder of the modules that is the root for a plex on Incus hosts."""

BOOTED = ("test", "-f", "/var/lib/plexctl/booted")
"""Ends well on a node that has all its files."""


@dataclass(frozen=True, slots=True)
class TofuEngine:
    """Of one plex. `folder` has its modules, variables, boot files and state: all of it private."""

    plex: str
    program: Path
    modules: Path  # the folder `terraform` of plexctl
    folder: Path
    config_dir: Path | None  # what is shown to servers over HTTPS; None: no host needs it
    key: Key  # of the state
    hosts: Mapping[str, Host]
    direct: DirectEngine = field(repr=False)

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return self.direct.read(hosts)

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], wishes: Wishes
    ) -> tuple[Change, ...]:
        return self.direct.diff(resources, states, wishes)

    def preview(
        self, wanted: Sequence[Resource], changes: Sequence[Change], states: dict[str, HostState]
    ) -> tuple[tuple[PlannedChange, ...], str]:
        """What OpenTofu would do, and the same as it shows it. Only its folder is changed."""
        with encrypted(self.folder / ROOT, self.key, self.program):
            tofu = self._prepared(wanted, changes, states, "plan")
            if adopted := _adopted(wanted, changes, states, tofu.addresses()):
                takes = (PlannedChange(address(one), "import", "exists") for one in adopted)
                return tuple(takes), "What exists is taken over first; then there is a plan."
            planned = tofu.plan()
            return planned, tofu.shown_plan()

    def apply(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        with encrypted(self.folder / ROOT, self.key, self.program):
            tofu = self._prepared(wanted, changes, states, run)
            known = tofu.addresses()
            changes = self._cleared(wanted, changes, states, known, run, reporter)
            self._adopt(tofu, wanted, changes, states, known)
            try:
                told = _Told(reporter)
                if held := _held(changes, tofu.parallel):
                    first = [t for m in _masters(wanted) for t in (address(m), *triggers(m))]
                    if tofu.plan(targets=first):
                        tofu.apply_plan(told.hear)
                    before_start(held)
                if tofu.plan():
                    tofu.apply_plan(told.hear)
            finally:
                (self.folder / ROOT / IMPORTS).unlink(missing_ok=True)

    def _prepared(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
    ) -> Tofu:
        """The folder with modules, variables and boot files as they are to be."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copytree(self.modules, self.folder, dirs_exist_ok=True)
        boot = self.folder / "boot"
        boot.mkdir(exist_ok=True, mode=0o700)
        instances = [one for one in wanted if isinstance(one, Instance)]
        for instance in instances:
            write_private(boot / f"{instance.name}.tar", instance.boot)
        given = tags_of(wanted, changes, states, run)
        variables = tfvars(
            self.plex, wanted, self.hosts, given, boot=boot, config_dir=self.config_dir
        )
        _write(self.folder / ROOT / VARIABLES, variables)
        parallel = sum(self.hosts[name].parallel for name in {r.host for r in wanted}) or 4
        tofu = Tofu(self.program, self.folder / ROOT, parallel)
        tofu.init()
        return tofu

    def _cleared(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        known: frozenset[str],
        run: str,
        reporter: Reporter,
    ) -> tuple[Change, ...]:
        """Delete what is in the way and outside of the state; what is left to do then."""
        outside = {r.key: r for r in wanted if address(r) not in known}
        gone, left = [], []
        for change in changes:
            if change.resource is None:
                gone.append(change)  # OpenTofu finds gone what it knows too
            elif change.action is Action.REPLACE and change.key in outside:
                gone.append(replace(change, action=Action.DELETE, resource=None))
                left.append(replace(change, action=Action.CREATE))
            else:
                left.append(change)
        half = [
            Change(Action.DELETE, one.host, "instance", one.name, "was left half made", None)
            for one in outside.values()
            if isinstance(one, Instance)
            and one.key not in {change.key for change in changes}
            and not self._booted(one)
        ]
        again = {change.key for change in half}
        left += [
            Change(Action.CREATE, one.host, "instance", one.name, "was left half made", one)
            for one in wanted
            if one.key in again
        ]
        self.direct.apply((), (*gone, *half), states, run, reporter, lambda _: None)
        return tuple(left)

    def _booted(self, instance: Instance) -> bool:
        """Whether a node that runs has its files: it is started before it is given them."""
        try:
            return self.direct.hosts[instance.host].execute(instance.name, BOOTED).code == 0
        except PlexError:
            return False

    def _adopt(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        known: frozenset[str],
    ) -> None:
        """Have OpenTofu take over what the hosts have and its state has not.

        First what decides whether an instance is made anew: it would be, if that came with it.
        """
        making = {c.key for c in changes if c.action in (Action.CREATE, *LEAVING)}
        adopted = [
            r
            for r in wanted
            if address(r) not in known and r.key not in making and whole(find(r, states[r.host]))
        ]
        if not adopted:
            return
        targets = [t for r in adopted if isinstance(r, Instance) for t in triggers(r)]
        if targets and tofu.plan(targets=targets):
            tofu.apply_plan(lambda _: None)
        imports = [{"to": address(r), "id": import_id(r)} for r in adopted]
        _write(self.folder / ROOT / IMPORTS, {"import": imports})


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_atomic(file, (json.dumps(content, indent=2) + "\n").encode(), 0o600)


def _adopted(
    wanted: Sequence[Resource],
    changes: Sequence[Change],
    states: Mapping[str, HostState],
    known: frozenset[str],
) -> list[Resource]:
    """What the hosts have as it is wanted, and OpenTofu does not know."""
    making = {c.key for c in changes if c.action in (Action.CREATE, *LEAVING)}
    outside = [r for r in wanted if address(r) not in known and r.key not in making]
    return [r for r in outside if whole(find(r, states[r.host]))]


def _masters(wanted: Sequence[Resource]) -> list[Instance]:
    return [r for r in wanted if isinstance(r, Instance) and r.parent is None]


def _held(changes: Sequence[Change], parallel: int) -> Instance | None:
    """The last of so many workers that a master which boots would suffer from them."""
    starting = [
        c.resource
        for c in changes
        if isinstance(c.resource, Instance) and c.resource.parent and c.action is not Action.UPDATE
    ]
    return starting[-1] if len(starting) > parallel else None


@dataclass(frozen=True, slots=True)
class _Told:
    """What OpenTofu tells, as this run's own progress."""

    reporter: Reporter

    def hear(self, event: Event) -> None:
        if event.get("type") != "apply_complete":
            return
        hook = event["hook"]
        resource = hook["resource"]
        if resource["resource_type"] == "incus_instance" and hook["action"] == "create":
            for what in ("created", "started", "pushed"):
                self.reporter.mark(str(resource["resource_key"]), what)
