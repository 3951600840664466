"""The engine `tofu`: the same resources as those of `direct`, made by OpenTofu or Terraform.

What is to be done is decided as for `direct`, from what the hosts have; OpenTofu's own plan comes
to the same, and its state is only what it needs for that. So a plex can go from one engine to the
other, what a crash left outside the state is found by its tags, and a state that is lost is no
loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from plexctl.clients.tofu import PlannedChange, Tofu
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.diff import find
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import Change, DiffOptions
from plexctl.provision.tofu.clearing import Clearing, held, making_keys, require_images
from plexctl.provision.tofu.encryption import Key, encrypted
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.provider import ApplyProgress, Provider
from plexctl.provision.tofu.tfvars import tags_of, whole


@dataclass(frozen=True, slots=True)
class TofuEngine:
    """Of one plex, all of whose hosts are of one kind."""

    program: Path
    modules: Path  # the folder `terraform` of plexctl
    folder: TofuFolder
    key: Key  # of the state
    by_hand: Sequence[str]  # the command that tells it to those who call OpenTofu themselves
    provider: Provider
    direct: DirectEngine = field(repr=False)

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return self.direct.read(hosts)

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return self.direct.diff(resources, states, options)

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

        Only its folder, and the lab's lock of providers, are changed.
        """
        wanted = _on_reachable_hosts(wanted, states)
        if not wanted:
            return (), ""
        with self._tofu(wanted) as tofu:
            known = self._known(tofu, reporter)
            self._write(tofu, wanted, changes, states, "plan")
            if self.provider.kind.keeps_boot:
                self._write_boot(wanted)
            kept = self.provider.addresses(wanted) | _leaving(known, changes)
            known = _forget(tofu, known, kept)
            planned: tuple[PlannedChange, ...] = ()
            blocks = self._imports(wanted, changes, states, known)
            if not blocks:
                planned = tofu.plan()
                old = self._old(planned, wanted, changes)
                known = _forget(tofu, known, known - self.provider.addresses(old))
                blocks = self._imports(wanted, changes, states, known)
            if blocks:
                takes = tuple(PlannedChange(one["to"], "import", "exists") for one in blocks)
                return takes, "What exists is taken over first; then there is a plan."
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
        wanted = _on_reachable_hosts(wanted, states)
        if not wanted:
            self.direct.apply((), changes, states, run, reporter, before_start)
            return
        try:
            with self._tofu(wanted) as tofu:
                known = self._known(tofu, reporter)
                clearing = Clearing(self.direct, self.provider, known, run, reporter)
                changes, states = clearing.cleared(wanted, changes, states)
                require_images(self.provider.kind, changes, states)
                known = _forget(tofu, known, self.provider.addresses(wanted))
                self._write(tofu, wanted, changes, states, run)
                self._write_boot(wanted)
                self._adopt(tofu, wanted, changes, states, known)
                self._make(tofu, wanted, changes, states, reporter, before_start)
        except UnreachableHostError:
            raise
        except PlexError as error:
            self._raise_if_unreachable(wanted, error)
            raise

    @contextmanager
    def _tofu(self, wanted: Sequence[Resource]) -> Iterator[Tofu]:
        """OpenTofu in its folder; what only a run needs is taken away afterwards."""
        used = {one.host for one in wanted}
        parallel = sum(self.direct.hosts[name].spec.parallel for name in used) or 4
        folder, kind = self.folder, self.provider.kind
        folder.open()
        with (
            encrypted(folder.root, self.key, self.program, self.by_hand) as key,
            self.provider.given(Tofu(self.program, folder.root, parallel, key)) as tofu,
        ):
            try:
                yield tofu
            finally:
                tofu.drop_plan()
                folder.drop_imports()
                if not kind.keeps_boot:
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

    def _write(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        run: str,
    ) -> None:
        used = {one.host for one in (*wanted, *changes)}
        variables = self.provider.variables(
            wanted,
            {name: state for name, state in states.items() if name in used},
            tags_of(wanted, changes, states, run),
            self.folder.boot,
        )
        # Providers come from where this machine trusts, whatever the hosts are trusted by.
        self.folder.write(self.modules, variables, replace(tofu, environment={}, files=()))

    def _write_boot(self, wanted: Sequence[Resource]) -> None:
        nodes = (one for one in wanted if isinstance(one, Instance))
        self.folder.write_boot(dict(self.provider.boot_files(nodes, self.folder.boot)))

    def _adopt(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> None:
        """Have OpenTofu take over what the hosts have and its state has not.

        First what decides whether a node is made anew: it would be, if that came with it.
        """
        making = making_keys(changes)
        staying = [r for r in wanted if isinstance(r, Instance) and r.key not in making]
        targets = [t for one in staying for t in self.provider.triggers(one) if t not in known]
        if targets and tofu.plan(targets=targets):
            tofu.apply_plan(lambda _: None)
        if blocks := self._imports(wanted, changes, states, known):
            self.folder.write_imports(blocks)

    def _imports(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> list[dict[str, str]]:
        """Of what the hosts have as it is wanted, and OpenTofu does not know."""
        making = making_keys(changes)
        there = [r for r in wanted if r.key not in making and whole(find(r, states[r.host]))]
        return self.provider.imports(there, states, known)

    def _make(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        """All that OpenTofu finds to do; masters first where many workers come with them."""
        told = ApplyProgress(self.provider.kind, reporter)
        if last := held(changes):
            masters = [r for r in wanted if isinstance(r, Instance) and r.parent is None]
            targets = sorted(self.provider.addresses(masters))
            if self._plan(tofu, wanted, changes, states, targets):
                tofu.apply_plan(told.hear)
            before_start(last)
        if self._plan(tofu, wanted, changes, states):
            tofu.apply_plan(told.hear)

    def _plan(
        self,
        tofu: Tofu,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        targets: Sequence[str] = (),
    ) -> bool:
        """Whether there is something to do; it is what `changes` say, and more only in place."""
        planned = tofu.plan(targets=targets)
        if old := self._old(planned, wanted, changes):
            known = tofu.addresses()
            known = _forget(tofu, known, known - self.provider.addresses(old))
            self._adopt(tofu, wanted, changes, states, known)
            planned = tofu.plan(targets=targets)
        return bool(planned)

    def _old(
        self,
        planned: Sequence[PlannedChange],
        wanted: Sequence[Resource],
        changes: Sequence[Change],
    ) -> list[Resource]:
        """Nodes that were made anew since the state was written, and would be once more.

        By another machine, or by an OpenTofu that was killed then.
        """
        making = making_keys(changes)
        anew = {one.address for one in planned if one.action not in ("update", "import")}
        nodes = (one for one in wanted if isinstance(one, Instance) and one.key not in making)
        return [one for one in nodes if self.provider.address(one) in anew]

    def _raise_if_unreachable(self, wanted: Sequence[Resource], error: PlexError) -> None:
        """UnreachableHostError if a host fell silent meanwhile: OpenTofu says it in many words."""
        for state in self.read({one.host for one in wanted}).values():
            if state.unreachable:
                raise UnreachableHostError(
                    state.unreachable.summary, details=(error.summary,), hint=state.unreachable.hint
                ) from error


def _on_reachable_hosts(
    wanted: Sequence[Resource], states: Mapping[str, HostState]
) -> tuple[Resource, ...]:
    return tuple(one for one in wanted if states[one.host].unreachable is None)


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
