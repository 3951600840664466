"""Objects that hosts have and OpenTofu's state does not: they are imported, not created again."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.clients.tofu import PlannedChange
from plexctl.model.observed import ObservedInstance, Tagged
from plexctl.model.resources import Key
from plexctl.plan.resources.types import Instance
from plexctl.provision.change import Action
from plexctl.provision.engine import ApplyJob
from plexctl.provision.tofu.provider import ImportBlock, Provider
from plexctl.provision.tofu.state import TofuState


def import_blocks(provider: Provider, job: ApplyJob, state: TofuState) -> list[ImportBlock]:
    """A block for each object that a host has as it is wanted, and the state does not have."""
    created = created_keys(job)
    there = [
        one
        for one in job.wanted
        if one.key not in created and _is_complete(job.states[one.host].find(one.key))
    ]
    return provider.import_blocks(there, job.states, state.addresses)


def staying_nodes(job: ApplyJob) -> list[Instance]:
    """Nodes that this run neither creates nor replaces."""
    created = created_keys(job)
    return [one for one in job.wanted if isinstance(one, Instance) and one.key not in created]


def outdated_nodes(
    provider: Provider, job: ApplyJob, planned: Sequence[PlannedChange]
) -> list[Instance]:
    """Nodes that were replaced after the state was written: OpenTofu would replace them again.

    Another machine replaced them, or an OpenTofu that was killed before it wrote its state.
    """
    replaced = {one.address for one in planned if one.action not in ("update", "import")}
    return [one for one in staying_nodes(job) if provider.address(one) in replaced]


def created_keys(job: ApplyJob) -> frozenset[Key]:
    """Keys of all objects that the job creates or replaces."""
    actions = (Action.CREATE, Action.REPLACE)
    return frozenset(change.key for change in job.changes if change.action in actions)


def _is_complete(observed: Tagged | None) -> bool:
    """Whether an object can be imported. The creation of an unstarted instance was interrupted."""
    return observed is not None and not (
        isinstance(observed, ObservedInstance) and not observed.started
    )
