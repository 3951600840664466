"""Nodes leave their cluster before their machines are deleted or replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.clients.kube.client import CertificateError, Kube, UnreachableError
from plexctl.errors import PlexError
from plexctl.model.observed import RUNNING, HostState
from plexctl.plan.plan import Plan
from plexctl.provision.change import Action, Change
from plexctl.workflow.core.run import Run
from plexctl.workflow.plex.drain import drain, name_list, refuse_to_lose_pods


def remove_from_cluster(
    plan: Plan,
    states: Mapping[str, HostState],
    changes: Sequence[Change],
    kube: Kube,
    run: Run,
    *,
    drain_first: bool,
    lose_pods: bool,
) -> None:
    """Drain workers that are deleted or replaced, and delete their node objects.

    A new machine registers a new object. Nothing happens if the master is replaced too, or does
    not exist: the cluster ends with it. UsageError if that would lose pods without a controller,
    unless `lose_pods`.
    """
    masters = [one for one in plan.instances if one.masters]
    if not any(states[one.host].find(one.key) for one in masters):
        return
    first = masters[0].key
    if any(c.key == first and c.deletes and not c.joins for c in changes):
        return
    leaving = [c.name for c in changes if c.is_instance and c.action is not Action.START]
    if not leaving:
        return
    try:
        registered = {node.name: node for node in kube.nodes()}
    except CertificateError as error:
        if drain_first:
            raise PlexError(
                f"refusing to delete {name_list(leaving)} without draining: {error.summary}",
                details=error.details,
                hint="`--no-drain` deletes them all the same",
            ) from error
        run.note(f"no node object is deleted: {error.summary}")
        return
    except UnreachableError as error:
        run.note(f"no node is drained: {error.summary}")
        return
    leaving = [name for name in leaving if name in registered]
    if not leaving:
        return
    running = {
        instance.name
        for state in states.values()
        for instance in state.instances.values()
        if instance.status == RUNNING
    }
    drained = [registered[name] for name in leaving if name in running] if drain_first else []
    if not lose_pods:
        refuse_to_lose_pods(kube, drained)
    title = f"{'drain' if drain_first else 'remove'} {name_list(leaving)}"
    with run.step(title) as step:
        drain(kube, drained, step)
        for name in leaving:
            kube.delete_node(name)


def delete_left_nodes(changes: Sequence[Change], kube: Kube, run: Run) -> None:
    """Delete the node objects of machines that this run has deleted.

    They are left if the API was away when the machines were to leave.
    """
    deleted = {c.name for c in changes if c.is_instance and c.action is Action.DELETE}
    if not deleted:
        return
    for node in kube.nodes():
        if node.name in deleted:
            run.note(f"{node.name} is deleted, and was still registered: delete its node object")
            kube.delete_node(node.name)
