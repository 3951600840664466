"""Changes that end a cluster: with its last master, everything in its etcd is gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from plexctl.errors import UsageError
from plexctl.model.observed import HostState
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import Action, Change
from plexctl.workflow.core.context import Context

CREATING = (Action.CREATE, Action.REPLACE)


def begins(plan: Plan, changes: Sequence[Change]) -> bool:
    """Whether a master is created that joins no other: a new cluster begins."""
    masters = {one.key for one in plan.instances if one.masters}
    return any(c.key in masters and c.action in CREATING and not c.joins for c in changes)


def lost_cluster(
    plan: Plan, changes: Sequence[Change], states: Mapping[str, HostState], owner: Owner
) -> str | None:
    """A clause that says why the cluster that exists ends with `changes`; None if it stays.

    Only masters that have been started count: before that there is no cluster.
    """
    if not begins(plan, changes):
        return None
    lost = {one.name: one.reason for one in _ending(changes, states, owner)}
    if not lost:
        return None
    reasons = ", ".join(dict.fromkeys(lost.values()))
    word = "is" if len(lost) == 1 else "are"
    return (
        f"the cluster of {plan.plex.name} loses all its objects and data:"
        f" {', '.join(lost)} {word} deleted ({reasons})"
    )


def require_consent(ctx: Context, plex: str, loss: str) -> None:
    """Ask whether a cluster may be lost. UsageError if there is nobody to ask."""
    keep = f"`plexctl upgrade {plex}` makes the same changes and keeps them"
    if ctx.consent is None:
        raise UsageError("refusing to replace a cluster without -y", details=(loss,), hint=keep)
    ctx.consent(loss, keep)


def _ending(
    changes: Sequence[Change], states: Mapping[str, HostState], owner: Owner
) -> Iterator[Change]:
    """The changes that delete a master of the cluster that exists. Workers have a parent."""
    for change in changes:
        observed = states[change.host].instances.get(change.name)
        if not change.deletes or not change.is_instance or observed is None:
            continue
        if observed.started and owner.owns(observed.tags) and "parent" not in observed.tags:
            yield change
