"""The heart of `up`, `replace` and `scale`: from what hosts have to what the files say."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from plexctl.bootstrap.cluster import cluster
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.apps import Apps
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Outcome
from plexctl.model.observed import RUNNING, HostState
from plexctl.model.plex import Plex, Role
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import LEAVING, Action, Change
from plexctl.results.plex import ChangeRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.core.unreachable import on_reachable_hosts, raise_if_unreachable
from plexctl.workflow.gitops.delivery import prepare
from plexctl.workflow.images.ensure import bake_types
from plexctl.workflow.images.recipes import missing_images, names_of_images, wanted_types
from plexctl.workflow.plex.access import write_access_files
from plexctl.workflow.plex.drain import drain
from plexctl.workflow.plex.engines import engine_of, let_end
from plexctl.workflow.plex.limits import limit_notes
from plexctl.workflow.plex.plan import change_rows, difference, inputs

STARTED = 10.0
"""Seconds that workers wait at most until their master has been started."""


@dataclass(frozen=True, slots=True)
class Converged:
    changes: tuple[ChangeRow, ...]
    seconds: dict[str, float]
    apps: Apps | None = None  # None: nothing brings up any, or nobody waited


def converge(
    ctx: Context,
    plex: Plex,
    run: Run,
    *,
    states: dict[str, HostState] | None = None,
    replace: frozenset[str] = frozenset(),
    drained: bool = True,
    waiting: bool = True,
) -> Converged:
    """Bring `plex` to what its files say. Safe to run again after any interruption.

    `states` is what the hosts have, if it was read just now. `replace` names nodes to make anew
    in any case. With `drained`, workers that go are emptied first. With `waiting`, it ends when
    all nodes are Ready, DNS answers and the apps are there. What is on hosts that do not answer is
    left for the next run: UnreachableHostError when all else is done, or at once for the master's.
    """
    if let_end(ctx, plex.name, run):
        states = None
    states, names = _with_images(ctx, plex, run, states)
    plan = plan_plex(plex, inputs(ctx, plex, names))
    if unreachable := states[plan.nodes[0].host].unreachable:
        raise unreachable
    changes = difference(ctx, plan, states, replace)
    write_access_files(ctx, plex)
    delivery = prepare(ctx, plex, plex.gitops, run) if plex.gitops else None
    for note in limit_notes(ctx.lab.hosts, changes, states):
        run.note(note)
    run.intend({change.key: f"{change.action}: {change.reason}" for change in changes})
    with cluster(plex, ctx.seed) as kube:
        watch = ClusterConditions(plex, plan.nodes, kube, ctx.hosts, run)
        _leave_cluster(plan, states, changes, kube, run, drained=drained)
        _apply(ctx, plan.resources, changes, states, run, watch)
        watch = dataclasses.replace(watch, nodes=on_reachable_hosts(ctx, plan.nodes))
        seconds: dict[str, float] = {}
        if delivery:
            _await(watch.api_answers(), "api", seconds, run)
            delivery.install(kube, run)
        if not waiting:
            raise_if_unreachable(ctx, plan.nodes)
            return Converged(change_rows(changes), seconds)
        if any(node.role is not Role.PLAIN for node in plan.nodes):
            if "api" not in seconds:
                _await(watch.api_answers(), "api", seconds, run)
            _register(ctx, plan, changes, kube, run)
            _await(watch.nodes_ready(), "nodes", seconds, run)
            _await(watch.dns_available(), "dns", seconds, run)
        apps = delivery.wait(kube, run) if delivery else None
        if apps:
            seconds["apps"] = run.seconds()
            run.mark(plan.nodes[0].name, "apps")
    raise_if_unreachable(ctx, plan.nodes)
    return Converged(change_rows(changes), seconds, apps)


def take_over(ctx: Context, plex: Plex, run: Run, states: dict[str, HostState]) -> None:
    """Have the engine of `plex` know what the hosts have of it. Nothing is made or removed.

    PlexError if the hosts do not have what its files say: that is to be mended first.
    """
    names = names_of_images(ctx, plex)
    plan = plan_plex(plex, inputs(ctx, plex, names))
    changes = difference(ctx, plan, states)
    if changes:
        raise PlexError(
            f"{plex.name} is not what its files say: it stays with what made it until it is",
            details=tuple(f"{c.action} {c.kind} {c.name}: {c.reason}" for c in changes),
            hint=f"the engine is changed in {plex.file.name}: `plexctl up {plex.name}` does both",
        )
    with run.step(f"take over {plex.name}") as step:
        step.progress(f"{len(plan.resources)} objects")
        engine = engine_of(ctx, plex.name, run)
        engine.apply(plan.resources, (), states, run.id, run, lambda _: None)


def _with_images(
    ctx: Context, plex: Plex, run: Run, states: dict[str, HostState] | None
) -> tuple[dict[str, HostState], dict[tuple[str, str], str]]:
    """What the hosts have, with every image that `plex` needs, and the names of those.

    The hosts are asked first: one that does not answer is known before anything is built.
    """
    states, names = states or ctx.engine.read(ctx.hosts), names_of_images(ctx, plex)
    if not missing_images(names, states):
        return states, names
    bake_types(ctx, wanted_types(plex), plex.kubernetes, run)
    return ctx.engine.read(ctx.hosts), names_of_images(ctx, plex)


def _leave_cluster(
    plan: Plan,
    states: dict[str, HostState],
    changes: Sequence[Change],
    kube: Kube,
    run: Run,
    *,
    drained: bool,
) -> None:
    """Drain workers that go, and forget their node objects: a new machine begins anew.

    Nothing where the master goes too, or is not there: the cluster ends with it.
    """
    master = plan.instances[0]
    seen = states[master.host].instances.get(master.name)
    if seen is None or any(c.key == master.key and c.action in LEAVING for c in changes):
        return
    going = [c for c in changes if c.kind == "instance" and c.action is not Action.START]
    if not going:
        return
    try:
        known = {node.name for node in kube.nodes()}
    except UnreachableError as error:
        run.note(f"no node is drained: {error.summary}")
        return
    going = [change for change in going if change.name in known]
    if not going:
        return
    with run.step(f"take {_names(going)} out of the cluster") as step:
        if drained:
            there = {name for state in states.values() for name in _running(state)}
            drain(kube, [change.name for change in going if change.name in there], step)
        for change in going:
            kube.delete_node(change.name)


def _running(state: HostState) -> Iterator[str]:
    return (one.name for one in state.instances.values() if one.status == RUNNING)


def _register(ctx: Context, plan: Plan, changes: Sequence[Change], kube: Kube, run: Run) -> None:
    """Have nodes register that run and that the cluster has forgotten.

    A kubelet does so only when it starts. Somebody has deleted the node's object: `kubectl`, or a
    plexctl that was killed before it made the machine anew.
    """
    changed = {change.name for change in changes}
    known = {node.name for node in kube.nodes()}
    for node in on_reachable_hosts(ctx, plan.nodes):
        if node.role is Role.PLAIN or node.name in changed | known:
            continue
        run.note(f"the cluster does not know {node.name}: its kubelet is started anew")
        ctx.hosts[node.host].execute(node.name, ("systemctl", "restart", "kubelet"))


def _apply(
    ctx: Context,
    wanted: Sequence[Resource],
    changes: Sequence[Change],
    states: dict[str, HostState],
    run: Run,
    watch: ClusterConditions,
) -> None:
    engine = engine_of(ctx, watch.plex.name, run)
    with run.step("instances") as step:
        if not changes and isinstance(engine, DirectEngine):
            step.end(Outcome.UNCHANGED, "unchanged")
            return
        step.progress(_names(changes))
        early = sum(ctx.hosts[name].facts().cpus for name in watch.plex.hosts)
        first = {node.name for node in watch.nodes[: 1 + early]}

        master = watch.nodes[0].name
        starts = any(c.kind == "instance" and c.name == master and c.resource for c in changes)

        def started() -> Observation:
            return Observation("started" in run.marks.get(master, {}))

        def before_start(instance: Instance) -> None:
            # More workers than this beside a master that boots would keep its API from coming up.
            if instance.parent is not None and instance.name not in first:
                wait(watch.api_answers())
            # The start of each takes the longer the more start at once, and all wait for its API.
            elif instance.parent is not None and starts:
                with suppress(PlexError):  # if it fails, that is told by itself
                    wait(Condition(f"{master} is started", started, STARTED, every=0.02))

        try:
            engine.apply(wanted, changes, states, run.id, run, before_start)
        except UnreachableHostError as error:
            if ctx.hosts[watch.nodes[0].host].unreachable:
                raise
            step.end(Outcome.FAILED, error.summary)
            return
        if changes:
            step.end(Outcome.CHANGED, summary(changes))
        else:
            step.end(Outcome.UNCHANGED, "unchanged")


def _await(condition: Condition, name: str, seconds: dict[str, float], run: Run) -> None:
    with run.step(condition.title) as step:
        wait(condition)
        seconds[name] = run.seconds()
        step.end(Outcome.UNCHANGED)


def summary(changes: Sequence[Change]) -> str:
    """ "2 created, 1 deleted": of instances, which is what a user counts."""
    counted = Counter(change.action for change in changes if change.kind == "instance")
    return ", ".join(f"{number} {action.past}" for action, number in counted.items())


def _names(changes: Sequence[Change]) -> str:
    names = [change.name for change in changes if change.kind == "instance"]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
