"""A new cluster takes over the contents of a backup: what `up` does in addition.

All nodes are created again. The contents go to each master in its boot tar (`plan.inputs`), so the
first start of a master decides: before it an interrupted restore is not complete, and after it the
cluster has its contents. Until then a copy of the backup is in the folder of the plex.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_field
from datetime import UTC, datetime, timedelta

from plexctl.bootstrap.pods import ReturningPods
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.backup import Backup, Manifest
from plexctl.model.condition import Condition, Observation, TimedOutError, wait
from plexctl.model.events import Outcome
from plexctl.model.nodes import masters, nodes
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex, Role
from plexctl.plan.inputs import Birth, EtcdSnapshot, Inputs
from plexctl.plan.resources.types import Owner
from plexctl.workflow.backups.archive import pack, unpack
from plexctl.workflow.backups.fit import require_fit
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import UP_RESTORE, Phases, Work
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recipes import components, stored_components

COPY = "restore.backup"
"""In the folder of a plex, until its masters have started."""

PROGRAM = "genesis"
COMPLETED = ("test", "-e", "/var/lib/plexctl/initialised")
COMPLETION = 180.0
"""Seconds that kubeadm has, once DNS answers."""


@dataclass(slots=True)
class Restoration:
    """The restore of `backup` in a run of `up`."""

    ctx: Context
    plex: Plex
    backup: Backup
    run: Run
    since: dict[str, datetime] = field(default_factory=dict)  # when nodes were started
    pods: ReturningPods | None = None

    def names(self, states: Mapping[str, HostState]) -> frozenset[str]:
        """The nodes to replace: all that exist, and all that the plex file has."""
        owner = Owner(self.ctx.seed.lab_id, self.plex.name)
        found = {
            name
            for state in states.values()
            for name, one in state.instances.items()
            if owner.owns(one.tags)
        }
        return frozenset(found | {node.name for node in nodes(self.plex)})

    def inputs(self, found: Inputs) -> Inputs:
        """The inputs of the plan. PlexError if the image has no program that restores."""
        _require_program(self.ctx, self.plex)
        birth = Birth(str(uuid.uuid4()), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        snapshot = EtcdSnapshot(self.backup.content, nodes=kept(self.plex, self.backup.manifest))
        return replace_field(found, etcd=snapshot, birth=birth)

    def record(self, states: Mapping[str, HostState]) -> Mapping[str, datetime]:
        """Write to the disk what is about to be done. The first change follows.

        Returns the time now at each node, by the clock of its host.
        """
        folder = self.ctx.plex_folder(self.plex.name)
        folder.write(COPY, pack(self.ctx.seed, self.backup), 0o600)
        names = tuple(node.name for node in nodes(self.plex))
        work = Work(UP_RESTORE, self.run.id, self.backup.manifest.created, names)
        Phases(self.run, folder).begin(work)
        now = datetime.now(UTC)
        for node in nodes(self.plex):
            offset = timedelta(seconds=states[node.host].clock_offset)
            self.since[node.name] = now + offset
        return self.since

    def masters_started(self) -> None:
        """From now on masters have the contents themselves."""
        give_up(self.ctx, self.plex.name, self.run)

    def api_answers(self, kube: Kube) -> None:
        """Delete the pods of nodes that are gone, and set the labels of those that stay."""
        names = {node.name for node in nodes(self.plex)}
        with self.run.step("delete pods of nodes that are gone") as step:
            lost = [pod for pod in kube.pods() if pod.node and pod.node not in names]
            for pod in lost:
                kube.delete_lost_pod(pod)
            step.end(Outcome.CHANGED if lost else Outcome.UNCHANGED, f"{len(lost)} deleted")
        for node in nodes(self.plex):
            if node.name in kept(self.plex, self.backup.manifest) and node.labels:
                kube.patch(
                    f"/api/v1/nodes/{node.name}", {"metadata": {"labels": dict(node.labels)}}
                )
        self.pods = ReturningPods(kube, self.since)
        self.pods.condition(self.plex.name).probe()  # before controllers see that nodes were away

    def until_complete(self, seconds: dict[str, float]) -> None:
        """Wait until kubeadm has brought the cluster to the files, and pods are Ready again."""
        master = masters(self.plex)[0]
        host = self.ctx.hosts[master.host]

        def probe() -> Observation:
            done = host.execute(master.name, COMPLETED).code == 0
            return Observation(done, "kubeadm still runs")

        completed = Condition(f"kubeadm is done on {master.name}", probe, COMPLETION, every=0.5)
        with self.run.step(completed.title) as step:
            wait(completed)
            step.end(Outcome.UNCHANGED)
        if self.pods is None:
            return
        returned = self.pods.condition(self.plex.name)
        try:
            with self.run.step(returned.title) as step:
                wait(returned)
                seconds["pods"] = self.run.seconds()
                step.end(Outcome.UNCHANGED)
        except TimedOutError:
            self.run.note(f"pods are not Ready yet: {', '.join(self.pods.left[:6])}")


def begin(ctx: Context, plex: Plex, run: Run, backup: Backup) -> Restoration:
    """The restore of `backup`. UsageError if its cluster cannot run with the files of `plex`."""
    require_fit(plex, ctx.seed.lab_id, backup.manifest)
    return Restoration(ctx, plex, backup, run)


def resume(
    ctx: Context, plex: Plex, run: Run, work: Work, replaced: frozenset[str]
) -> Restoration | None:
    """The restore that an interrupted run was about to do; None if nothing is left of it to do.

    A run that replaces all masters begins an empty cluster, as its user wants.
    """
    names = {one.name for one in masters(plex)}
    if replaced >= names:
        run.note("an interrupted restore is given up: a new cluster begins")
        give_up(ctx, plex.name, run)
        return None
    states = ctx.engine.read(plex.hosts)
    found = (state.instances.get(name) for state in states.values() for name in names)
    if any(one and one.started and one.tags.get("run") == work.run for one in found):
        give_up(ctx, plex.name, run)  # a master has the contents, and may have changed them since
        return None
    backup = _copy(ctx, plex)
    run.note(f"the restore of {backup.manifest.created} was interrupted: it is completed first")
    return begin(ctx, plex, run, backup)


def give_up(ctx: Context, plex: str, run: Run) -> None:
    """Nothing is left to complete."""
    folder = ctx.plex_folder(plex)
    Phases(run, folder).end()
    folder.delete(COPY)


def kept(plex: Plex, manifest: Manifest) -> tuple[str, ...]:
    """The nodes whose Node objects the cluster keeps: those that are what they were then."""
    return tuple(
        node.name
        for node in nodes(plex)
        if node.role is not Role.PLAIN
        and (node.role is Role.MASTER) == (node.name in manifest.masters)
    )


def _copy(ctx: Context, plex: Plex) -> Backup:
    content = ctx.plex_folder(plex.name).read(COPY)
    try:
        if content is None:
            raise ValueError("its copy of the backup is gone")
        return unpack(ctx.seed, content)
    except ValueError as error:
        raise PlexError(
            f"the interrupted restore of {plex.name} cannot be completed: {error}",
            hint=f"restore again: `plexctl up {plex.name} --restore FILE`; or begin an empty"
            f" cluster: `plexctl replace master --plex {plex.name}`",
        ) from error


def _require_program(ctx: Context, plex: Plex) -> None:
    kinds = [node.type for node in masters(plex)]
    release = ctx.pins.release(plex.kubernetes)
    stored = stored_components(ctx, release, components(kinds)) or {}
    if PROGRAM not in stored or not stored[PROGRAM].artifacts:
        raise PlexError(
            f"the images of {plex.name}'s masters lack the program {PROGRAM}, which restores etcd",
            details=("the depot could not build it, or the type does not name it",),
            hint="install Go, then `plexctl depot fill`; `plexctl bake` bakes images with it",
        )
