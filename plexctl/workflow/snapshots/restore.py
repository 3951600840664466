"""Bring a plex back to a snapshot: all nodes, with etcd, apps and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from plexctl.bootstrap.cluster import cluster
from plexctl.bootstrap.pods import ReturningPods
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError, UsageError
from plexctl.model.condition import Condition, TimedOutError, wait
from plexctl.model.events import Outcome
from plexctl.model.plex import Node, Plex, Role
from plexctl.model.snapshots import PlexSnapshot
from plexctl.results.snapshots import SnapshotRestoreResult
from plexctl.workflow.core.clock import require_clock, require_host_clocks
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.plex.access import write_access_files
from plexctl.workflow.plex.engines import settle_or_refuse
from plexctl.workflow.plex.status import node_rows
from plexctl.workflow.snapshots.controllers import Controllers
from plexctl.workflow.snapshots.members import (
    Member,
    Members,
    on_all,
    require_members,
    require_snapshot,
)

STOPPED = "Stopped"


def restore(ctx: Context, plex: Plex, name: str) -> SnapshotRestoreResult:
    """Bring all nodes of `plex` back to the snapshot `name`. What has changed since is lost."""
    with start(ctx.lab.state, "restore", plex.name, ctx.listener) as run:
        require_clock(plex.name)
        settle_or_refuse(ctx, plex.name, run, "restore a snapshot")
        members = require_members(ctx, plex)
        require_host_clocks(plex.name, members.states.values())
        snapshot = require_snapshot(members, name)
        require_complete(members, snapshot)
        seconds = bring_back(ctx, members, snapshot.id.on_host, run)
        return SnapshotRestoreResult(
            plex.name, name, node_rows(ctx, plex), {**seconds, "all": run.seconds()}, run.id
        )


def require_complete(members: Members, snapshot: PlexSnapshot) -> None:
    """UsageError if the plex has other nodes than those that were saved.

    A part of a cluster with another part of another time is not a cluster.
    """
    plex, name = members.plex.name, snapshot.id.name
    if lacking := snapshot.lacking(members.names):
        raise UsageError(
            f"snapshot {name} of {plex} is incomplete: {', '.join(lacking)} came later",
            details=("a node that was replaced or added since has no such snapshot",),
            hint=f"restore a later one: `plexctl snapshot list --plex {plex}`;"
            " delete added nodes with `plexctl scale`",
        )
    if snapshot.gone:
        raise UsageError(
            f"snapshot {name} of {plex} is incomplete: it had {snapshot.id.nodes} nodes, and"
            f" those of {snapshot.gone} are gone",
            details=("nodes that were deleted have taken their snapshots with them",),
            hint=f"restore a later one: `plexctl snapshot list --plex {plex}`",
        )
    _require_one_cluster(members, snapshot)


def _require_one_cluster(members: Members, snapshot: PlexSnapshot) -> None:
    """UsageError if workers of a snapshot belong to another master than the one in it."""
    first = snapshot.parts[members.names[0]].tags.get("run")
    others = [
        name
        for name, part in snapshot.parts.items()
        if part.tags.get("parent") not in (None, first)
    ]
    if others:
        raise UsageError(
            f"snapshot {snapshot.id.name}: {', '.join(others)} belong to another cluster than"
            f" {members.names[0]}",
            hint="somebody has created or renamed these snapshots; delete them",
        )


def bring_back(
    ctx: Context, members: Members, on_host: str, run: Run, part_of: Work | None = None
) -> dict[str, float]:
    """Restore and start all nodes, and wait for the cluster. Safe to repeat from the beginning.

    Returns seconds since the run began. From the first change on a killed run leaves a plex that
    is neither old nor new: the next run, whatever its verb, begins again here, or with the work
    that this is a part of.
    """
    plex = members.plex
    phases = Phases(run, ctx.plex_folder(plex.name))
    phases.begin(part_of or Work("restore", run.id, on_host, members.names))
    run.intend({one.key: f"start: snapshot {on_host}" for one in members.all})
    with phases.phase("stop", f"stop {len(members.all)} nodes"):
        on_all(members.all, _stop)
    with phases.phase("restore", "restore their disks"):
        on_all(members.all, lambda one: one.snapshots.restore(one.name, on_host))
    seconds = {"restored": run.seconds()}
    since = _now(members)
    with cluster(plex, ctx.seed) as kube:
        waits = _Waits(ctx, members, kube, run, since)
        controllers = Controllers.of(members)
        with phases.phase("start", f"start {len(members.all)} nodes"):
            _start(members, waits, controllers, run)
        try:
            waits.until_first_look()
        finally:
            with phases.phase("controllers", "start the controllers"):
                controllers.release()
            phases.end()  # all nodes are of one instant again, and run
        write_access_files(ctx, plex)
        return seconds | waits.until_back()


def _stop(member: Member) -> None:
    try:
        member.host.stop(member.name)
    except PlexError as error:
        if "already stopped" not in str(error):
            raise


def _now(members: Members) -> dict[str, datetime]:
    """The time at each node, by the clock of its host."""
    offsets = {name: state.clock_offset for name, state in members.states.items()}
    now = datetime.now(UTC)
    return {one.name: now + timedelta(seconds=offsets[one.host.name]) for one in members.all}


def _start(members: Members, waits: _Waits, controllers: Controllers, run: Run) -> None:
    """Start the master, then as many workers as hosts have processors, and the others once the API
    answers: as many starts at once would keep the API from coming up.
    """

    def begin(member: Member) -> None:
        run.mark(member.name, "starting")
        member.host.start(member.name)
        run.mark(member.name, "started")
        controllers.hold(member)

    masters = {node.name for node in members.planned() if node.role is Role.MASTER}
    first = members.named(masters)
    others = [one for one in members.all if one.name not in masters]
    early = sum(one.host.facts().cpus for one in {m.host.name: m for m in members.all}.values())
    on_all(first, begin)
    on_all(others[:early], begin)
    if others[early:]:
        waits.until_api_answers()
        on_all(others[early:], begin)


class _Waits:
    """The waits of a run that brings nodes back, each a step."""

    def __init__(
        self,
        ctx: Context,
        members: Members,
        kube: Kube,
        run: Run,
        since: Mapping[str, datetime],
    ) -> None:
        self._plex, self._run = members.plex, run
        self._nodes: tuple[Node, ...] = members.planned()
        self._seconds: dict[str, float] = {}
        self._pods = ReturningPods(kube, since)
        self._conditions = ClusterConditions(
            members.plex, self._nodes, kube, ctx.hosts, run, since=since
        )

    def until_api_answers(self) -> None:
        if "api" not in self._seconds:
            self._wait(self._conditions.api_answers(), "api")

    def until_first_look(self) -> None:
        """Wait until the API answers, and see which pods are to come back.

        No controller has seen yet that nodes were away.
        """
        if self._members:
            self.until_api_answers()
            self._pods.condition(self._plex.name).probe()

    def until_back(self) -> dict[str, float]:
        """Wait until all nodes are Ready, DNS answers on each, and all pods are Ready again."""
        if not (members := self._members):
            return self._seconds
        pods = self._pods
        self._wait(self._conditions.nodes_ready(), "nodes")
        self._wait(self._conditions.dns_answers(members), "dns")
        try:
            self._wait(pods.condition(self._plex.name), "pods")
        except TimedOutError:
            self._run.note(f"pods are not Ready yet: {', '.join(pods.left[:6])}")
        return self._seconds

    @property
    def _members(self) -> list[Node]:
        """The nodes of the cluster."""
        return [node for node in self._nodes if node.role is not Role.PLAIN]

    def _wait(self, condition: Condition, name: str) -> None:
        with self._run.step(condition.title) as step:
            wait(condition)
            self._seconds[name] = self._run.seconds()
            step.end(Outcome.UNCHANGED)
