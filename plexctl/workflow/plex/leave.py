"""Workers leave their cluster before their machines are deleted or replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.model.observed import RUNNING, HostState
from plexctl.plan.plan import Plan
from plexctl.provision.change import Action, Change
from plexctl.workflow.core.run import Run
from plexctl.workflow.plex.drain import drain

SHOWN = 6
"""Names of nodes in one line."""


def remove_from_cluster(
    plan: Plan,
    states: Mapping[str, HostState],
    changes: Sequence[Change],
    kube: Kube,
    run: Run,
    *,
    drain_first: bool,
) -> None:
    """Drain workers that are deleted or replaced, and delete their node objects.

    A new machine registers a new object. Nothing happens if the master is replaced too, or does
    not exist: the cluster ends with it.
    """
    master = plan.instances[0]
    exists = states[master.host].find(master.key) is not None
    if not exists or any(c.key == master.key and c.deletes for c in changes):
        return
    leaving = [c.name for c in changes if c.is_instance and c.action is not Action.START]
    if not leaving:
        return
    try:
        registered = {node.name for node in kube.nodes()}
    except UnreachableError as error:
        run.note(f"no node is drained: {error.summary}")
        return
    leaving = [name for name in leaving if name in registered]
    if not leaving:
        return
    title = f"{'drain' if drain_first else 'remove'} {name_list(leaving)}"
    with run.step(title) as step:
        if drain_first:
            running = {
                instance.name
                for state in states.values()
                for instance in state.instances.values()
                if instance.status == RUNNING
            }
            drain(kube, [name for name in leaving if name in running], step)
        for name in leaving:
            kube.delete_node(name)


def name_list(names: Sequence[str]) -> str:
    """ "demo2, demo3 and 7 more"."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
