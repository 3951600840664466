"""One step of a run: apply the changes of a plex to its hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from plexctl.errors import UnreachableHostError
from plexctl.model.condition import Condition, Observation
from plexctl.model.events import Outcome
from plexctl.model.observed import HostState
from plexctl.plan.plan import Plan
from plexctl.provision.change import Change
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from plexctl.provision.start_gate import StartGate
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.plex.drain import name_list
from plexctl.workflow.plex.engines import engine_of

STARTED = 10.0
"""Seconds that workers wait at most until their master is started."""


def apply_changes(
    ctx: Context,
    plan: Plan,
    changes: tuple[Change, ...],
    states: Mapping[str, HostState],
    api_answers: Condition,
    run: Run,
) -> None:
    """Apply `changes` with the engine of the plex.

    Changes on hosts that stop answering are left out. UnreachableHostError if the master's host
    does, as nothing else can be done then.
    """
    engine = engine_of(ctx, plan.plex.name, run)
    with run.step(apply_title(changes)) as step:
        if not changes and isinstance(engine, DirectEngine):
            step.end(Outcome.UNCHANGED, "unchanged")
            return
        step.progress(name_list([change.name for change in changes if change.is_instance]))
        gate = start_gate(ctx, plan, changes, api_answers, run)
        try:
            engine.apply(ApplyJob(plan.resources, changes, states, run.id, run, gate))
        except UnreachableHostError as error:
            if ctx.hosts[plan.nodes[0].host].unreachable:
                raise
            step.end(Outcome.FAILED, error.summary)
            return
        if changes:
            step.end(Outcome.CHANGED, apply_summary(changes))
        else:
            step.end(Outcome.UNCHANGED, "unchanged")


def start_gate(
    ctx: Context, plan: Plan, changes: Sequence[Change], api_answers: Condition, run: Run
) -> StartGate:
    """As many workers as the hosts have processors may start before the API answers."""
    master, workers = plan.nodes[0], plan.nodes[plan.plex.masters :]
    processors = sum(ctx.hosts[name].facts().cpus for name in plan.plex.hosts)
    starts = any(c.is_instance and c.name == master.name and c.resource for c in changes)

    def started() -> Observation:
        return Observation("started" in run.marks.get(master.name, {}))

    return StartGate(
        frozenset(worker.name for worker in workers[:processors]),
        api_answers,
        Condition(f"{master.name} is started", started, STARTED, every=0.02) if starts else None,
    )


def apply_title(changes: Sequence[Change]) -> str:
    """ "create instances", or "change instances" where the actions on them are mixed."""
    actions = {change.action for change in changes if change.is_instance}
    return f"{actions.pop() if len(actions) == 1 else 'change'} instances"


def apply_summary(changes: Sequence[Change]) -> str:
    """ "2 created, 1 deleted": only instances are counted, not networks, profiles or volumes."""
    counted = Counter(change.action for change in changes if change.is_instance)
    return ", ".join(f"{number} {action.past}" for action, number in counted.items())
