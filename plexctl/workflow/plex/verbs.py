"""The verbs on a plex, each as its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_field
from typing import TYPE_CHECKING

from plexctl.config.edit import set_field, set_workers, with_workers
from plexctl.config.load import load_lab
from plexctl.errors import ConfigError
from plexctl.model.events import Outcome
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.plex import Plex
from plexctl.model.state import state_folder
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import DiffOptions
from plexctl.provision.engine import ApplyJob
from plexctl.results.plex import DestroyResult, EngineResult
from plexctl.results.up import UpResult
from plexctl.workflow.core.context import PLEXES, Context
from plexctl.workflow.core.run import start
from plexctl.workflow.core.unreachable import raise_if_left_behind, still_there
from plexctl.workflow.images.ensure import clean_up_hosts, prune_images
from plexctl.workflow.plex.converge import ConvergeOptions, converge
from plexctl.workflow.plex.engines import settle_plex
from plexctl.workflow.plex.lookup import has_master, node_names
from plexctl.workflow.plex.plan import change_rows
from plexctl.workflow.plex.takeover import take_over

if TYPE_CHECKING:
    from plexctl.model.backup import Backup


def up(
    ctx: Context,
    plex: Plex,
    *,
    drain: bool = True,
    lose_pods: bool = False,
    lose_cluster: bool = False,
    wait: bool = True,
    backup: Backup | None = None,
) -> UpResult:
    """Bring `plex` to what its files say. With `backup`, a new cluster takes over its contents.

    The caller has asked whether a cluster that exists may be lost, if there is a backup.
    """
    options = ConvergeOptions(
        drain=drain,
        lose_pods=lose_pods,
        lose_cluster=lose_cluster or backup is not None,
        wait=wait,
        backup=backup,
    )
    with start(ctx.lab.state, "up", plex.name, ctx.listener) as run:
        return converge(ctx, plex, run, options)


def replace(
    ctx: Context,
    plex: Plex,
    names: Sequence[str],
    *,
    drain: bool = True,
    lose_pods: bool = False,
    lose_cluster: bool = False,
    wait: bool = True,
) -> UpResult:
    """Replace nodes. A new master replaces the whole cluster, with all workers.

    The caller has asked whether the cluster may be lost, if all masters are among `names`.
    """
    chosen = frozenset(node_names(plex, names))
    options = ConvergeOptions(
        chosen,
        drain=drain,
        lose_pods=lose_pods,
        lose_cluster=lose_cluster or has_master(plex, names),
        wait=wait,
    )
    with start(ctx.lab.state, "replace", plex.name, ctx.listener) as run:
        return converge(ctx, plex, run, options)


def scale(
    ctx: Context,
    plex: Plex,
    workers: int,
    *,
    drain: bool = True,
    lose_cluster: bool = False,
    wait: bool = True,
) -> UpResult:
    """Write the number of workers into the plex file, and bring the plex to it.

    The caller has asked whether the data of deleted workers may be lost.
    """
    wanted = with_workers(plex, workers)
    with start(ctx.lab.state, "scale", plex.name, ctx.listener) as run:
        with run.step(f"set workers in {plex.file.relative_to(ctx.lab.root)}") as step:
            if wanted.workers == plex.workers:
                step.end(Outcome.UNCHANGED, str(workers))
            else:
                set_workers(ctx.lab.root, plex.file, workers)
                step.end(Outcome.CHANGED, f"{plex.workers} to {workers}")
        return converge(
            ctx,
            wanted,
            run,
            ConvergeOptions(
                drain=drain,
                lose_pods=workers < plex.workers,
                lose_cluster=lose_cluster,
                wait=wait,
            ),
        )


def engine(ctx: Context, plex: Plex, chosen: ProvisionEngine) -> EngineResult:
    """Choose the engine that creates the objects of `plex`. No node is replaced.

    The new engine takes over objects that exist at once, and those of a plex that is not up later.
    """
    with start(ctx.lab.state, "engine", plex.name, ctx.listener) as run:
        with run.step(f"set engine in {plex.file.relative_to(ctx.lab.root)}") as step:
            changed = set_field(ctx.lab.root, plex.file, "engine", chosen)
            try:
                load_lab(ctx.lab.root, ctx.pins.versions())
            except ConfigError:
                set_field(ctx.lab.root, plex.file, "engine", plex.engine)
                raise
            step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED, chosen)
        moved = replace_field(plex, engine=chosen)
        lab = replace_field(ctx.lab, plexes={**ctx.lab.plexes, plex.name: moved})
        ctx = replace_field(ctx, lab=lab)
        settle_plex(ctx, plex.name, run)
        states = ctx.engine.read(ctx.hosts)
        owner = Owner(ctx.seed.lab_id, plex.name)
        if any(owner.owns(one.tags) for s in states.values() for one in s.instances.values()):
            take_over(ctx, moved, run, states)
    return EngineResult(plex.name, chosen, changed)


def destroy(ctx: Context, name: str, *, images: bool = False) -> DestroyResult:
    """Delete all objects of a plex, even if its file does not exist any more.

    With `images`, baked images that no instance and no plex of the lab uses are deleted too.
    """
    with start(ctx.lab.state, "destroy", name, ctx.listener) as run:
        with run.step(f"delete the objects of {name}") as step:
            settle_plex(ctx, name, run, ends=True)
            states = ctx.engine.read(ctx.hosts)
            clean_up_hosts(ctx, states, run)
            changes = ctx.engine.diff((), states, DiffOptions(Owner(ctx.seed.lab_id, name)))
            run.intend({change.key: change.action for change in changes})
            # `direct` deletes the objects of both engines, which it finds by their tags.
            ctx.engine.apply(ApplyJob((), changes, states, run.id, run))
            raise_if_left_behind(ctx, states, still_there(name), f"plexctl destroy {name}")
            state_folder(ctx.lab.state).below(PLEXES).delete(name)
            step.end(Outcome.CHANGED if changes else Outcome.UNCHANGED)
        pruned = prune_images(ctx, run, without=name) if images else ()
    return DestroyResult(name, change_rows(changes), pruned)
