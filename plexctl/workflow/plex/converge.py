"""The core of `up`, `replace` and `scale`: bring hosts to the state that the files define."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plexctl.bootstrap.cluster import cluster
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.plan.inputs import Birth
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import Change
from plexctl.results.apps import apps_result
from plexctl.results.up import UpResult
from plexctl.workflow.core.clock import clock_notes, require_clock, require_host_clocks
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import UP_RESTORE, unfinished_work
from plexctl.workflow.core.run import Run
from plexctl.workflow.core.unreachable import raise_if_unreachable
from plexctl.workflow.gitops.delivery import additions, engine_documents, prepare
from plexctl.workflow.images.ensure import bake_types, claim_images, clean_up_hosts
from plexctl.workflow.images.recipes import missing_images, names_of_images, wanted_types
from plexctl.workflow.images.store import record_use
from plexctl.workflow.plex.access import write_access_files
from plexctl.workflow.plex.apply import apply_changes
from plexctl.workflow.plex.engines import settle_plex
from plexctl.workflow.plex.leave import remove_from_cluster
from plexctl.workflow.plex.limits import limit_notes
from plexctl.workflow.plex.loss import begins, lost_cluster, require_consent
from plexctl.workflow.plex.networks import require_free_networks
from plexctl.workflow.plex.plan import change_rows, difference, inputs
from plexctl.workflow.plex.ready import ClusterWaits
from plexctl.workflow.plex.relabel import relabel
from plexctl.workflow.plex.status import node_rows
from plexctl.workflow.registry.verbs import ensure_registry

if TYPE_CHECKING:
    from plexctl.model.backup import Backup
    from plexctl.workflow.backups.restore import Restoration

Images = dict[tuple[str, str], str]
"""(host, type) -> name of the image."""


@dataclass(frozen=True, slots=True)
class ConvergeOptions:
    """The user's options for a run."""

    replace: frozenset[str] = frozenset()  # nodes to replace in any case
    drain: bool = True  # whether workers are drained before they are deleted or replaced
    lose_pods: bool = False  # whether draining may delete pods without a controller
    lose_cluster: bool = False  # whether the cluster may end, and another one begin
    wait: bool = True  # whether the run ends when nodes are Ready, DNS answers and apps are there
    backup: Backup | None = None  # which a new cluster takes over


def converge(ctx: Context, plex: Plex, run: Run, options: ConvergeOptions) -> UpResult:
    """Bring `plex` to what its files say. Safe to run again after any interruption.

    Nodes on hosts that do not answer are left for the next run: UnreachableHostError when
    everything else is done, or at once if it is the master's host.
    """
    require_clock(plex.name)
    states = _registry_states(ctx, plex, run)
    if settle_plex(ctx, plex.name, run):
        states = None  # out of date now
    restoring = _restoration(ctx, plex, run, options)
    if plex.backup:
        from plexctl.workflow.backups.keys import program_configuration

        program_configuration(ctx, plex)  # raises an error without the keys of the bucket
    states, images = states_with_images(ctx, plex, run, states)
    documents = engine_documents(ctx, plex, plex.gitops) if plex.gitops else None
    found = inputs(ctx, plex, images)
    born = bool(documents and found.recording and not restoring)
    born_with = additions(ctx, plex, documents) if documents and born else ()
    found = replace(found, additions=born_with, birth=_birth(plex))
    if restoring:
        found = restoring.inputs(found)
        options = replace(options, replace=restoring.names(states))
    plan = plan_plex(plex, found)
    _require_master_host(plan, states)
    states = _marked(ctx, plex, images, states, run)
    changes = difference(ctx, plan, states, options.replace)
    if not (options.lose_cluster or restoring):  # its user has agreed
        loss = lost_cluster(plan, changes, states, Owner(ctx.seed.lab_id, plex.name))
        if loss:
            require_consent(ctx, plex.name, loss)
    write_access_files(ctx, plex)
    delivery = prepare(ctx, plex, documents, run, born=bool(born_with)) if documents else None
    for note in limit_notes(ctx.lab.hosts, changes, states):
        run.note(note)
    run.intend({change.key: f"{change.action}: {change.reason}" for change in changes})
    new = _is_master_new(plan, changes)
    since = restoring.record(states) if restoring else {}
    with cluster(plex, ctx.seed, super_admin=new) as kube:
        waits = ClusterWaits(ctx, plan, kube, run, since=since)
        rest = changes
        if not begins(plan, changes):
            # A new cluster needs nothing of this.
            from plexctl.workflow.plex.masters import Masters

            masters = Masters(ctx, plan, found, states, kube, run, options.drain, options.lose_pods)
            rest = masters.roll(changes)
        remove_from_cluster(
            plan,
            states,
            rest,
            kube,
            run,
            drain_first=options.drain,
            lose_pods=options.lose_pods,
        )
        apply_changes(ctx, plan, rest, states, waits.api_answers(), run)
        apps = None
        if restoring:
            restoring.masters_started()
            waits.until_api_answers()
            restoring.api_answers(kube)
        if delivery:
            waits.until_api_answers()
            delivery.install(kube, run, new=new)
        if options.wait:
            can_run = waits.until_ready(changes, new=begins(plan, changes))
            if restoring:
                restoring.until_complete(waits.seconds)
            apps = waits.until_delivered(delivery) if delivery and can_run else None
        _schedule_backups(ctx, plan, changes, states, waits, run)
    raise_if_unreachable(ctx, plan.nodes)
    return UpResult(
        plex.name,
        change_rows(changes),
        node_rows(ctx, plex) if options.wait else (),
        {**waits.seconds, "all": run.seconds()},
        run.id,
        ctx.access(plex.name) / "kubeconfig",
        apps_result(plex.name, apps) if apps else None,
    )


def _restoration(
    ctx: Context, plex: Plex, run: Run, options: ConvergeOptions
) -> Restoration | None:
    """What the run restores: the user's backup, or that of an interrupted run. Mostly nothing."""
    work = unfinished_work(ctx.plex_folder(plex.name))
    if options.backup is None and (work is None or work.verb != UP_RESTORE):
        return None
    from plexctl.workflow.backups.restore import begin, resume

    if options.backup is None and work:
        return resume(ctx, plex, run, work, options.replace)
    return begin(ctx, plex, run, options.backup) if options.backup else None


def plan_on_ready_hosts(ctx: Context, plex: Plex, run: Run) -> tuple[Plan, dict[str, HostState]]:
    """The plan of `plex`, and the states of hosts that have all that does not belong to it.

    That is the lab's registry and the images of its nodes, which may be baked now.
    """
    states, images = states_with_images(ctx, plex, run, _registry_states(ctx, plex, run))
    plan = plan_plex(plex, inputs(ctx, plex, images))
    _require_master_host(plan, states)
    return plan, _marked(ctx, plex, images, states, run)


def _schedule_backups(
    ctx: Context,
    plan: Plan,
    changes: Sequence[Change],
    states: dict[str, HostState],
    waits: ClusterWaits,
    run: Run,
) -> None:
    """Let masters save by themselves, or no more. Few plexes have such masters."""
    tagged = any("backup" in one.tags for s in states.values() for one in s.instances.values())
    if plan.plex.backup is None and not tagged:
        return
    from plexctl.workflow.backups.schedule import is_scheduled, schedule

    if is_scheduled(plan.plex, states):
        waits.until_api_answers()
        new = {change.name for change in changes if change.is_instance}
        schedule(ctx, plan.plex, states, new, run)


def _registry_states(ctx: Context, plex: Plex, run: Run) -> dict[str, HostState] | None:
    """Create the lab's registry, if the plex uses one; the states that were read for that."""
    if ctx.lab.registry is None or not plex.type.kubernetes:
        return None
    return ensure_registry(ctx, ctx.lab.registry, run)


def states_with_images(
    ctx: Context, plex: Plex, run: Run, states: dict[str, HostState] | None
) -> tuple[dict[str, HostState], Images]:
    """The states of hosts that have every image the plex needs, and the names of the images.

    The hosts are read first: a host that does not answer is found before anything is baked.
    """
    states, names = states or ctx.engine.read(ctx.hosts), names_of_images(ctx, plex)
    require_host_clocks(plex.name, states.values())
    for note in clock_notes(states.values()):
        run.note(note)
    require_free_networks(ctx, plex, states)
    if not missing_images(names, states):
        return states, names
    bake_types(ctx, wanted_types(plex), plex.kubernetes, run)
    return ctx.engine.read(ctx.hosts), names_of_images(ctx, plex)


def _marked(
    ctx: Context, plex: Plex, images: Images, states: dict[str, HostState], run: Run
) -> dict[str, HostState]:
    """The states after objects and images are marked as the lab's; normally they are already."""
    clean_up_hosts(ctx, states, run)
    claim_images(ctx, plex, images, states)
    record_use(ctx)
    registry = (ctx.lab.registry.name,) if ctx.lab.registry else ()
    owners = (Owner(ctx.seed.lab_id, name) for name in (plex.name, *registry))
    return relabel(ctx.hosts, states, owners, run)


def _require_master_host(plan: Plan, states: dict[str, HostState]) -> None:
    """UnreachableHostError if the master's host does not answer."""
    if unreachable := states[plan.nodes[0].host].unreachable:
        raise unreachable


def _is_master_new(plan: Plan, changes: Sequence[Change]) -> bool:
    """Whether the cluster is created in this run. Then only its admin has rights."""
    return any(change.key == plan.instances[0].key and not change.joins for change in changes)


def _birth(plex: Plex) -> Birth | None:
    """What the masters of a new cluster agree on. One alone finds it by itself."""
    if plex.masters == 1:
        return None
    return Birth(str(uuid.uuid4()), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
