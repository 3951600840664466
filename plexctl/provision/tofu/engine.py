"""The engine `tofu`: the same resources as `direct`, created by OpenTofu or Terraform.

The changes are decided as for `direct`, from what the hosts have. OpenTofu's own plan comes to the
same result, and its state is only what it needs for that. So a plex can move from one engine to
the other, the tags of objects show what a crash left outside the state, and a lost state is no
loss. A run on hosts:

1. delete what OpenTofu cannot delete itself (`obstacles`)
2. write modules, variables and boot files (`folder`)
3. import objects of the hosts that the state lacks (`importing`)
4. let OpenTofu plan and apply, masters first if many workers start with them
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from plexctl.clients.process import deleted_at_exit
from plexctl.clients.tofu import PlannedChange, Tofu
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.events import Reporter
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Change, DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from plexctl.provision.tofu.encryption import StateKey, encrypted
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.importing import import_blocks, outdated_nodes, staying_nodes
from plexctl.provision.tofu.obstacles import delete_obstacles, held_back_worker, require_images
from plexctl.provision.tofu.provider import ApplyProgress, Provider
from plexctl.provision.tofu.state import TofuState
from plexctl.provision.tofu.tags import tags_by_key


@dataclass(frozen=True, slots=True)
class TofuEngine:
    """The engine of one plex. All of its hosts are of one kind."""

    program: Path
    modules: Path  # the folder `terraform` of plexctl
    folder: TofuFolder
    key: StateKey
    key_command: Sequence[str]  # prints the key to a user who calls OpenTofu in the folder
    provider: Provider
    direct: DirectEngine = field(repr=False)

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return self.direct.read(hosts)

    def diff(
        self, resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return self.direct.diff(resources, states, options)

    def preview(self, job: ApplyJob, *, shown: bool) -> tuple[tuple[PlannedChange, ...], str]:
        """The changes that OpenTofu would make; with `shown` also the plan as OpenTofu prints it.

        Only the plex's folder and the lab's lock of providers are changed.
        """
        job, provider = job.on_reachable_hosts(), self.provider
        if not job.wanted:
            return (), ""
        with self._tofu(job.wanted) as tofu:
            state = self._read_state(tofu, job.reporter)
            self._write_variables(tofu, job)
            if provider.traits.plan_reads_boot:
                self._write_boot(job.wanted)
            state = state.keep(provider.addresses(job.wanted) | state.of_deleted(job.changes))
            planned: tuple[PlannedChange, ...] = ()
            blocks = import_blocks(provider, job, state)
            if not blocks:
                planned = tofu.plan()
                outdated = outdated_nodes(provider, job, planned)
                state = state.forget(provider.addresses(outdated))
                blocks = import_blocks(provider, job, state)
            if blocks:
                imports = tuple(PlannedChange(one["to"], "import", "exists") for one in blocks)
                return imports, "OpenTofu imports the objects that exist. Then there is a plan."
            return planned, tofu.shown_plan() if shown else ""

    def apply(self, job: ApplyJob) -> None:
        """As `Engine.apply`. Objects of unreachable hosts are removed from OpenTofu's state.

        Without any wanted resource, `direct` deletes everything, and OpenTofu is not needed.
        """
        job = job.on_reachable_hosts()
        if not job.wanted:
            self.direct.apply(job)
            return
        try:
            with self._tofu(job.wanted) as tofu:
                state = self._read_state(tofu, job.reporter)
                job = delete_obstacles(self.direct, self.provider, state, job)
                require_images(self.provider.traits, job)
                state = state.keep(self.provider.addresses(job.wanted))
                self._write_variables(tofu, job)
                self._write_boot(job.wanted)
                self._import(tofu, job, state)
                self._plan_and_apply(tofu, job)
        except UnreachableHostError:
            raise
        except PlexError as error:
            self._raise_if_unreachable(job.wanted, error)
            raise

    @contextmanager
    def _tofu(self, wanted: Sequence[Resource]) -> Iterator[Tofu]:
        """OpenTofu in its folder. Files that only a run needs are deleted afterwards."""
        used = {one.host for one in wanted}
        parallel = sum(self.direct.hosts[name].spec.parallel for name in used) or 4
        self.folder.prepare(self.modules, self.program, self.key)
        with (
            encrypted(self.folder.files, self.key, self.program, self.key_command) as key,
            self.provider.connected(Tofu(self.program, self.folder.root, parallel, key)) as tofu,
            self._boot_files_end() as ends,
        ):
            try:
                yield replace(tofu, files=(*tofu.files, *ends))
            finally:
                tofu.drop_plan()
                self.folder.drop_imports()
                if not self.provider.traits.plan_reads_boot:
                    self.folder.drop_boot()

    @contextmanager
    def _boot_files_end(self) -> Iterator[tuple[int, ...]]:
        """Files that OpenTofu must have open: when it and this process end, boot files are deleted.

        Those that every plan reads stay.
        """
        if self.provider.traits.plan_reads_boot:
            yield ()
            return
        with deleted_at_exit(self.folder.boot) as descriptor:
            yield (descriptor,)

    def _read_state(self, tofu: Tofu, reporter: Reporter) -> TofuState:
        """A state that cannot be read is put aside: the hosts have what counts."""
        try:
            return TofuState(tofu, tofu.addresses())
        except PlexError as error:
            with reporter.step("import objects that the state lacks") as step:
                step.progress(error.summary)
                self.folder.put_state_aside()
            return TofuState(tofu, frozenset())

    def _write_variables(self, tofu: Tofu, job: ApplyJob) -> None:
        used = {one.host for one in (*job.wanted, *job.changes)}
        states = {name: state for name, state in job.states.items() if name in used}
        variables = self.provider.tfvars(job.wanted, states, tags_by_key(job), self.folder.boot)
        # Providers are installed with this machine's own trust, not with that of the hosts.
        plain = replace(tofu, environment={}, files=())
        self.folder.write(self.modules, variables, plain, self.key)

    def _write_boot(self, wanted: Sequence[Resource]) -> None:
        nodes = (one for one in wanted if isinstance(one, Instance))
        self.folder.write_boot(dict(self.provider.boot_files(nodes, self.folder.boot)))

    def _import(self, tofu: Tofu, job: ApplyJob, state: TofuState) -> None:
        """Let the next plan import objects of the hosts that the state lacks.

        What decides whether a node is replaced is created first, by itself: if it came with the
        import, the node would be replaced.
        """
        triggers = (t for one in staying_nodes(job) for t in self.provider.replace_triggers(one))
        targets = [one for one in triggers if one not in state.addresses]
        if targets and tofu.plan(targets=targets):
            tofu.apply_plan(lambda _: None)
        if blocks := import_blocks(self.provider, job, state):
            self.folder.write_imports(blocks)

    def _plan_and_apply(self, tofu: Tofu, job: ApplyJob) -> None:
        """Apply all changes of OpenTofu's plan; masters first if many workers start with them."""
        progress = ApplyProgress(self.provider.traits, job.reporter)
        if worker := held_back_worker(job.changes):
            masters = [r for r in job.wanted if isinstance(r, Instance) and r.parent is None]
            targets = sorted(self.provider.addresses(masters))
            if self._plan(tofu, job, targets):
                tofu.apply_plan(progress.on_event)
            job.wait_to_start(worker)
        if self._plan(tofu, job):
            tofu.apply_plan(progress.on_event)

    def _plan(self, tofu: Tofu, job: ApplyJob, targets: Sequence[str] = ()) -> bool:
        """Whether OpenTofu has anything to do: the changes of the job, and changes in place.

        A node that the state has in an older version is imported again: it would be replaced.
        """
        planned = tofu.plan(targets=targets)
        if outdated := outdated_nodes(self.provider, job, planned):
            state = TofuState(tofu, tofu.addresses())
            state = state.forget(self.provider.addresses(outdated))
            self._import(tofu, job, state)
            planned = tofu.plan(targets=targets)
        return bool(planned)

    def _raise_if_unreachable(self, wanted: Sequence[Resource], error: PlexError) -> None:
        """UnreachableHostError if a host stopped answering: OpenTofu reports that at length."""
        for state in self.read({one.host for one in wanted}).values():
            if state.unreachable:
                raise UnreachableHostError(
                    state.unreachable.summary, details=(error.summary,), hint=state.unreachable.hint
                ) from error
