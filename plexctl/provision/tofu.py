"""The engine `tofu`: the same resources as those of `direct`, made by OpenTofu or Terraform.

What is to be done is decided as for `direct`, from what the hosts have; OpenTofu's own plan comes
to the same, and its state is only what it needs for that. So a plex can go from one engine to the
other, what a crash left outside the state is found by its tags, and a state that is lost is no
loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients.tofu import Event, PlannedChange, Tofu
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.events import Reporter
from plexctl.model.hosts import Host
from plexctl.model.observed import HostState
from plexctl.plan.resources import Instance, Resource
from plexctl.provision.diff import find
from plexctl.provision.direct import LEAVING, DirectEngine
from plexctl.provision.encryption import Key, encrypted
from plexctl.provision.engine import Action, Change, Wishes
from plexctl.provision.tfvars import (
    address,
    addresses,
    imports,
    tags_of,
    tfvars,
    triggers,
    whole,
)
from plexctl.provision.tofu_clearing import Clearing, held
from plexctl.provision.tofu_folder import TofuFolder


@dataclass(frozen=True, slots=True)
class TofuEngine:
    """Of one plex on Incus hosts."""

    plex: str
    program: Path
    modules: Path  # the folder `terraform` of plexctl
    folder: TofuFolder
    config_dir: Path | None  # what is shown to servers over HTTPS; None: no host needs it
    key: Key  # of the state
    by_hand: Sequence[str]  # the command that tells it to those who call OpenTofu themselves
    hosts: Mapping[str, Host]
    direct: DirectEngine = field(repr=False)

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return self.direct.read(hosts)

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], wishes: Wishes
    ) -> tuple[Change, ...]:
        return self.direct.diff(resources, states, wishes)

    def preview(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        reporter: Reporter,
        *,
        shown: bool,
    ) -> tuple[tuple[PlannedChange, ...], str]:
        """What OpenTofu would do, and if it is to be `shown`, as it says it itself.

        Only its folder is changed.
        """
        wanted = _answering(wanted, states)
        with self._tofu(wanted) as tofu:
            variables = self._variables(wanted, changes, states, "plan")
            self.folder.write(self.modules, variables, tofu)
            known = self._known(tofu, reporter)
            known = _forget(tofu, known, addresses(wanted) | _leaving(known, changes))
            if blocks := _imports(wanted, changes, states, known):
                takes = tuple(PlannedChange(one["to"], "import", "exists") for one in blocks)
                return takes, "What exists is taken over first; then there is a plan."
            planned = tofu.plan()
            return planned, tofu.shown_plan() if shown else ""

    def apply(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        """Hosts that do not answer are left out, and OpenTofu forgets what they have.

        What is not wanted is deleted as `direct` does it: with nothing wanted, that is all.
        """
        if not wanted:
            self.direct.apply((), changes, states, run, reporter, before_start)
            return
        wanted = _answering(wanted, states)
        try:
            with self._tofu(wanted) as tofu:
                known = self._known(tofu, reporter)
                clearing = Clearing(self.direct, known, run, reporter)
                changes, states = clearing.cleared(wanted, changes, states)
                known = _forget(tofu, known, addresses(wanted))
                variables = self._variables(wanted, changes, states, run)
                self.folder.write(self.modules, variables, tofu)
                self.folder.write_boot(r for r in wanted if isinstance(r, Instance))
                self._adopt(tofu, wanted, changes, states, known)
                _make(tofu, wanted, changes, reporter, before_start)
        except UnreachableHostError:
            raise
        except PlexError as error:
            self._tell_silent(wanted, error)
            raise

    @contextmanager
    def _tofu(self, wanted: Sequence[Resource]) -> Iterator[Tofu]:
        """OpenTofu in its folder; what only a run needs is taken away afterwards."""
        parallel = sum(self.hosts[name].parallel for name in {one.host for one in wanted}) or 4
        folder = self.folder
        folder.open()
        with encrypted(folder.root, self.key, self.program, self.by_hand) as key:
            tofu = Tofu(self.program, folder.root, parallel, key)
            try:
                yield tofu
            finally:
                tofu.drop_plan()
                folder.drop_imports()
                folder.drop_boot()

    def _known(self, tofu: Tofu, reporter: Reporter) -> frozenset[str]:
        """What is in the state. One that cannot be read is dropped: the hosts have what counts."""
        try:
            return tofu.addresses()
        except PlexError as error:
            with reporter.step("take over what the hosts have") as step:
                step.progress(error.summary)
                self.folder.drop_state()
            return frozenset()

    def _variables(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        run: str,
    ) -> dict[str, Any]:
        used = {one.host for one in (*wanted, *changes)}
        return tfvars(
            self.plex,
            wanted,
            {name: host for name, host in self.hosts.items() if name in used},
            tags_of(wanted, changes, states, run),
            boot=self.folder.boot,
            config_dir=self.config_dir,
        )

    def _adopt(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> None:
        """Have OpenTofu take over what the hosts have and its state has not.

        First what decides whether an instance is made anew: it would be, if that came with it.
        """
        making = _making(changes)
        staying = [r for r in wanted if isinstance(r, Instance) and r.key not in making]
        targets = [one for r in staying for one in triggers(r) if one not in known]
        if targets and tofu.plan(targets=targets):
            tofu.apply_plan(lambda _: None)
        if blocks := _imports(wanted, changes, states, known):
            self.folder.write_imports(blocks)

    def _tell_silent(self, wanted: Sequence[Resource], error: PlexError) -> None:
        """UnreachableHostError if a host fell silent meanwhile: OpenTofu says it in many words."""
        for state in self.read({one.host for one in wanted}).values():
            if state.silence:
                raise UnreachableHostError(
                    state.silence.summary, details=(error.summary,), hint=state.silence.hint
                ) from error


def _make(
    tofu: Tofu,
    wanted: Sequence[Resource],
    changes: Sequence[Change],
    reporter: Reporter,
    before_start: Callable[[Instance], None],
) -> None:
    """All that OpenTofu finds to do; masters first where many workers come with them."""
    told = _Told(reporter)
    if last := held(changes):
        masters = [r for r in wanted if isinstance(r, Instance) and r.parent is None]
        first = [one for r in masters for one in (address(r), *triggers(r))]
        if tofu.plan(targets=first):
            tofu.apply_plan(told.hear)
        before_start(last)
    if tofu.plan():
        tofu.apply_plan(told.hear)


def _answering(wanted: Sequence[Resource], states: Mapping[str, HostState]) -> tuple[Resource, ...]:
    return tuple(one for one in wanted if states[one.host].silence is None)


def _making(changes: Sequence[Change]) -> frozenset[str]:
    return frozenset(c.key for c in changes if c.action in (Action.CREATE, *LEAVING))


def _imports(
    wanted: Sequence[Resource],
    changes: Sequence[Change],
    states: Mapping[str, HostState],
    known: frozenset[str],
) -> list[dict[str, str]]:
    """Of what the hosts have as it is wanted, and OpenTofu does not know."""
    making = _making(changes)
    there = [r for r in wanted if r.key not in making and whole(find(r, states[r.host]))]
    return [block for r in there for block in imports(r, known, states[r.host])]


def _leaving(known: frozenset[str], changes: Sequence[Change]) -> frozenset[str]:
    """Addresses of what is going to be deleted."""
    names = {
        name
        for change in changes
        if change.resource is None
        for name in (change.name, f"{change.host}/{change.name}")
    }
    return frozenset(one for one in known if one.rpartition('["')[2].removesuffix('"]') in names)


def _forget(tofu: Tofu, known: frozenset[str], kept: frozenset[str]) -> frozenset[str]:
    """Have the state without all but `kept`: what is deleted, or on hosts that do not answer."""
    tofu.forget(sorted(known - kept))
    return known & kept


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
