"""The verb `plan`, and the comparison with which all other verbs start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.errors import UsageError
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.observed import HostState, unreachable_reasons
from plexctl.model.plex import Plex
from plexctl.model.resources import Key, Kind
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import Change, DiffOptions
from plexctl.results.changes import ChangeRow, PlanResult, TofuPlan
from plexctl.workflow.core.clock import clock_notes, require_clock, require_host_clocks
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.digest_cache import known_digests, store_digests
from plexctl.workflow.core.prefetch import Pending
from plexctl.workflow.images.recipes import missing_images, names_of_images
from plexctl.workflow.images.recordings import recording_of
from plexctl.workflow.plex.loss import lost_cluster
from plexctl.workflow.plex.networks import require_free_networks
from plexctl.workflow.registry.networks import require_free_registry_network
from plexctl.workflow.registry.plan import registry_changes, registry_images


def plan(
    ctx: Context, plex: Plex, hosts: Pending[dict[str, HostState]], *, shown: bool = False
) -> PlanResult:
    """The changes that `up` would make. `hosts` are read while the plan is computed.

    With `shown`, the result also has the plan as OpenTofu prints it.
    """
    require_clock(plex.name)
    names = names_of_images(ctx, plex)
    own = registry_images(ctx)
    wanted = _plan_to_compare(ctx, plex, names)
    states = hosts.result()
    require_host_clocks(plex.name, states.values())
    require_free_networks(ctx, plex, states)
    changes = difference(ctx, wanted, states)
    loss = lost_cluster(wanted, changes, states, Owner(ctx.seed.lab_id, plex.name))
    if ctx.lab.registry:
        before = registry_changes(ctx, ctx.lab.registry, own, states)
        names |= own if before else {}
        if before:
            require_free_registry_network(ctx, ctx.lab.registry, states)
        changes = (*before, *changes)
    tofu = _tofu_plan(ctx, plex, wanted, changes, states, shown) if _uses_tofu(plex) else None
    unreachable = unreachable_reasons(states[name] for name in plex.hosts)
    unknown = tuple(node.name for node in wanted.nodes if states[node.host].unreachable)
    return PlanResult(
        plex.name,
        missing_images(names, states),
        change_rows(changes),
        tofu,
        unreachable,
        unknown,
        (*_backup_notes(ctx, plex, states), *clock_notes(states.values())),
        loss or "",
    )


def _backup_notes(ctx: Context, plex: Plex, states: Mapping[str, HostState]) -> tuple[str, ...]:
    """What `up` would do about scheduled backups. Few plexes have them."""
    tagged = any("backup" in one.tags for s in states.values() for one in s.instances.values())
    if plex.backup is None and not tagged:
        return ()
    from plexctl.workflow.backups.schedule import unset

    names = ", ".join(unset(ctx, plex, states))
    return (f"`up` also sets up the scheduled backups of {names}",) if names else ()


def _plan_to_compare(ctx: Context, plex: Plex, names: dict[tuple[str, str], str]) -> Plan:
    """The plan; with digests from the cache instead of the files of nodes, if there are any."""
    found = inputs(ctx, plex, names)
    if _uses_tofu(plex):  # OpenTofu needs the files
        return plan_plex(plex, found)
    try:
        folder = ctx.plex_folder(plex.name)
    except UsageError:  # the state folder is refused, and a plan does not need it
        return plan_plex(plex, found)
    known = known_digests(folder, plex, found)
    wanted = plan_plex(plex, found, known)
    if known is None:
        store_digests(folder, wanted, found)
    return wanted


def _uses_tofu(plex: Plex) -> bool:
    return plex.engine is ProvisionEngine.TOFU


def _tofu_plan(
    ctx: Context,
    plex: Plex,
    wanted: Plan,
    changes: Sequence[Change],
    states: dict[str, HostState],
    shown: bool,
) -> TofuPlan:
    """The plan of OpenTofu. It needs the plex's folder: no other run may be in progress."""
    from plexctl.provision.engine import ApplyJob
    from plexctl.workflow.core.run import start
    from plexctl.workflow.plex.engines import settle_plex, tofu_engine

    with start(ctx.lab.state, "plan", plex.name, ctx.listener) as run:
        if settle_plex(ctx, plex.name, run):
            states = ctx.engine.read(plex.hosts)
            changes = difference(ctx, wanted, states)
        engine = tofu_engine(ctx, plex.name, run)
        job = ApplyJob(wanted.resources, tuple(changes), states, "plan", run)
        planned, text = engine.preview(job, shown=shown)
    return TofuPlan(tuple(f"{one.action} {one.address}" for one in planned), text)


def inputs(ctx: Context, plex: Plex, baked: dict[tuple[str, str], str]) -> Inputs:
    return Inputs(
        ctx.seed,
        ctx.lab.hosts,
        {name: ctx.hosts[name].facts() for name in plex.hosts},
        ctx.pins.release(plex.kubernetes).images,
        baked,
        ctx.lab.registry,
        recording_of(ctx, plex),
    )


def difference(
    ctx: Context,
    plan: Plan,
    states: Mapping[str, HostState],
    replace: frozenset[str] = frozenset(),
) -> tuple[Change, ...]:
    """The changes that lead from the hosts to `plan`; `replace` are names of nodes to replace.

    They may be masters that the plan does not have any more.
    """
    keys = frozenset(i.key for i in plan.instances if i.name in replace)
    keys |= {
        Key(Kind.INSTANCE, state.host, name)
        for state in states.values()
        for name in replace & state.instances.keys()
    }
    options = DiffOptions(Owner(ctx.seed.lab_id, plan.plex.name), keys)
    return ctx.engine.diff(plan.resources, states, options)


def change_rows(changes: Sequence[Change]) -> tuple[ChangeRow, ...]:
    return tuple(ChangeRow(c.action, c.kind, c.name, c.host, c.reason) for c in changes)
