"""The verb `upgrade`: replace all nodes of a plex whose files have changed, and keep its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from plexctl.bootstrap.cluster import cluster
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.snapshots import SnapshotName
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import Action, DiffOptions
from plexctl.provision.engine import ApplyJob
from plexctl.results.upgrade import UpgradePlanResult, UpgradeResult
from plexctl.workflow.core.clock import require_clock, require_host_clocks
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work, unfinished_work
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.images.recipes import missing_images, names_of_images
from plexctl.workflow.plex.converge import ConvergeOptions, converge, states_with_images
from plexctl.workflow.plex.engines import settle_or_refuse
from plexctl.workflow.plex.plan import inputs
from plexctl.workflow.snapshots.members import Members, require_members
from plexctl.workflow.snapshots.save import take, write_disks
from plexctl.workflow.upgrade.changes import Rolled, require_same_nodes, rolled, steps
from plexctl.workflow.upgrade.preflight import (
    Running,
    require_apis,
    require_healthy,
    require_kind,
    require_replaceable,
    require_running,
)
from plexctl.workflow.upgrade.roll import Roll
from plexctl.workflow.upgrade.undo import FILES, NEW, NODES, delete_old, put_back_version, undo
from plexctl.workflow.upgrade.unfinished import FilesWentBackError
from plexctl.workflow.upgrade.version import (
    before_in_file,
    chosen_version,
    reloaded,
    write_version,
)


@dataclass(frozen=True, slots=True)
class UpgradeOptions:
    """The user's options for an upgrade."""

    to: str | None = None  # a version of Kubernetes, "1.36"; None: that of the plex file
    parallel: int = 1  # workers that are replaced at the same time
    drain: bool = True  # whether nodes are drained first
    agreed: bool = False  # whether pods without a controller may be lost, and clients may fail
    rollback: bool = True  # whether a failed upgrade is undone at once


def upgrade(ctx: Context, plex: Plex, options: UpgradeOptions) -> UpgradeResult:
    """Replace the nodes of `plex` one after another, until they are what its files say.

    If anything fails, everything is as before again, with the version in the plex file.
    """
    with start(ctx.lab.state, "upgrade", plex.name, ctx.listener) as run:
        require_clock(plex.name)
        ctx, plex = _settled(ctx, plex, run)
        version = chosen_version(ctx, plex, options.to)
        with run.step("check that the cluster can be upgraded") as step:
            before = _preflight(ctx, plex, version, options)
            step.end(Outcome.UNCHANGED, f"{before.version} to v{version}")
        old = before.version.removeprefix("v")
        done = _Upgrade(ctx, plex, run, options, before).run_all()
        if done is None:
            wanted, chosen, seconds = plex, Rolled((), ()), dict[str, float]()
        else:
            ctx, wanted, chosen, seconds = done
        up = converge(ctx, wanted, run, ConvergeOptions(drain=options.drain))
        return UpgradeResult(
            plex.name,
            old,
            wanted.kubernetes,
            chosen.names,
            up.nodes,
            {**seconds, "all": run.seconds()},
            run.id,
            up.apps,
        )


def upgrade_steps(
    ctx: Context, plex: Plex, states: Mapping[str, HostState], options: UpgradeOptions
) -> UpgradePlanResult:
    """What `upgrade` would do. Nothing is changed, and the cluster is not asked."""
    require_kind(ctx, plex)
    _require_nodes(ctx, plex, states)
    wanted = replace(plex, kubernetes=chosen_version(ctx, plex, options.to))
    names = names_of_images(ctx, wanted)
    plan = plan_plex(wanted, inputs(ctx, wanted, names))
    found = rolled(plan, states)
    bakes = missing_images(names, states)
    listed = tuple(steps(wanted, bakes, found, options.parallel))
    return UpgradePlanResult(plex.name, wanted.kubernetes, listed)


def _settled(ctx: Context, plex: Plex, run: Run) -> tuple[Context, Plex]:
    """The lab and the plex after what an earlier run has left is completed or undone."""
    try:
        settle_or_refuse(ctx, plex.name, run, f"upgrade {plex.name}")
    except FilesWentBackError as error:
        run.note(error.summary)
        return reloaded(ctx, plex.name)
    return ctx, plex


def _preflight(ctx: Context, plex: Plex, version: str, options: UpgradeOptions) -> Running:
    require_kind(ctx, plex)
    members = require_members(ctx, plex)
    require_host_clocks(plex.name, members.states.values())
    require_running(members)
    with cluster(plex, ctx.seed) as kube:
        found = require_healthy(ctx, plex, kube, version)
        require_apis(kube, plex.name, found.version, f"v{version}", agreed=options.agreed)
        workers = [one.name for one in members.planned()[plex.masters :]] if options.drain else []
        require_replaceable(kube, workers, lose_pods=options.agreed)
    return found


@dataclass(slots=True)
class _Upgrade:
    """One upgrade, after its preflight."""

    ctx: Context
    plex: Plex
    run: Run
    options: UpgradeOptions
    before: Running

    def run_all(self) -> tuple[Context, Plex, Rolled, dict[str, float]] | None:
        """The lab afterwards, and what was replaced; None if there is nothing to replace."""
        phases = Phases(self.run, self.ctx.plex_folder(self.plex.name))
        members = require_members(self.ctx, self.plex)
        snapshot = SnapshotName(
            f"upgrade-{self.run.id.partition('.')[0].lower()}", len(members.all)
        )
        text = before_in_file(self.plex, self.before.version) if self.options.to else ""
        work = Work("upgrade", self.run.id, snapshot.on_host, members.names, FILES, text)
        phases.begin(work)
        try:
            ctx, wanted = self._write_version()
            states, images = states_with_images(ctx, wanted, self.run, None)
            found = inputs(ctx, wanted, images)
            plan = plan_plex(wanted, found)
            chosen = rolled(plan, states)
            if not chosen.all:
                phases.end()
                return None
            self._snapshot(phases, members, snapshot)
            work = replace(work, reached=NODES)
            phases.begin(work)
            with cluster(wanted, ctx.seed) as kube:
                seconds = self._roll(ctx, plan, found, states, kube, phases, chosen)
            work = replace(work, reached=NEW)
            phases.begin(work)
        except BaseException as error:
            self._failed(phases, work, error)
            raise
        delete_old(ctx, wanted, work, phases)
        return ctx, wanted, chosen, seconds

    def _write_version(self) -> tuple[Context, Plex]:
        if self.options.to is None:
            return self.ctx, self.plex
        file = self.plex.file.relative_to(self.ctx.lab.root)
        with self.run.step(f"set kubernetes in {file}") as step:
            ctx, wanted = write_version(self.ctx, self.plex, f'"{self.options.to}"')
            same = wanted.kubernetes == self.plex.kubernetes
            step.end(Outcome.UNCHANGED if same else Outcome.CHANGED, wanted.kubernetes)
        return ctx, wanted

    def _snapshot(self, phases: Phases, members: Members, snapshot: SnapshotName) -> None:
        running = list(members.all)
        write_disks(phases, members, running)
        take(phases, members, running, snapshot)

    def _roll(
        self,
        ctx: Context,
        plan: Plan,
        found: Inputs,
        states: Mapping[str, HostState],
        kube: Kube,
        phases: Phases,
        chosen: Rolled,
    ) -> dict[str, float]:
        self.run.intend({one.key: f"{Action.REPLACE}: {one.reason}" for one in chosen.all})
        _apply_others(ctx, plan, states, self.run)
        drain, agreed = self.options.drain, self.options.agreed
        roll = Roll(ctx, plan, found, states, kube, phases, drain, agreed)
        roll.masters(chosen)
        roll.workers(chosen, self.options.parallel)
        roll.complete(chosen)
        roll.wait(chosen)
        return roll.seconds

    def _failed(self, phases: Phases, work: Work, error: BaseException) -> None:
        """Undo everything, and raise an error that says so. The caller raises `error` otherwise."""
        name, changed = self.plex.name, work.reached != FILES
        next_run = f"the next `plexctl upgrade {name}` or `plexctl up {name}` undoes it first"
        if changed and not self.options.rollback:
            if isinstance(error, PlexError):
                raise PlexError(
                    f"the upgrade of {name} failed: {error.summary}",
                    details=error.details,
                    hint=next_run,
                ) from error
            return
        if changed:
            self.run.note(f"the upgrade failed and is undone: {_summary(error)}")
        try:
            ctx, plex, _ = put_back_version(self.ctx, self.plex, work)
            undo(ctx, plex, work, phases)
        except PlexError as second:
            complete = unfinished_work(phases.folder) is None
            found = "its nodes are as before, but" if complete else "is not undone yet:"
            raise PlexError(
                f"the upgrade of {name} failed; {found} {second.summary}",
                details=(*second.details, f"why it failed: {_summary(error)}"),
                hint=second.hint if complete else next_run,
            ) from error
        if changed and isinstance(error, PlexError):
            raise PlexError(
                f"the upgrade of {name} failed, and everything is as before: {error.summary}",
                details=error.details,
                hint=error.hint,
            ) from error


def _summary(error: BaseException) -> str:
    return error.summary if isinstance(error, PlexError) else str(error) or type(error).__name__


def _apply_others(ctx: Context, plan: Plan, states: Mapping[str, HostState], run: Run) -> None:
    """Create and change the objects besides instances that new nodes need. None is deleted."""
    owner = Owner(ctx.seed.lab_id, plan.plex.name)
    changes = tuple(
        one
        for one in ctx.engine.diff(plan.resources, states, DiffOptions(owner))
        if not one.is_instance and not one.deletes
    )
    if changes:
        with run.step("change profiles and networks"):
            ctx.engine.apply(ApplyJob(plan.resources, changes, states, run.id, run))


def _require_nodes(ctx: Context, plex: Plex, states: Mapping[str, HostState]) -> None:
    owner = Owner(ctx.seed.lab_id, plex.name)
    found = [
        one.name
        for state in states.values()
        for one in state.instances.values()
        if owner.owns(one.tags)
    ]
    require_same_nodes(plex, found)
