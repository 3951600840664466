"""Masters of a cluster that runs join and leave it, one after another.

etcd loses one member at a time, and gets the next one before it loses another. So its contents
stay, and the API answers at its endpoint all the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from plexctl.bootstrap.etcd import Etcd, faults, healthy_without
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Outcome
from plexctl.model.nodes import node
from plexctl.model.observed import RUNNING, HostState
from plexctl.model.plex import Node, Role
from plexctl.plan.inputs import Inputs
from plexctl.plan.kubernetes.static_pods import peer_url
from plexctl.plan.network.endpoint import take_endpoint
from plexctl.plan.plan import Plan, joining
from plexctl.provision.change import Action, Change
from plexctl.provision.engine import ApplyJob
from plexctl.provision.masters import BORN
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.plex.engines import engine_of
from plexctl.workflow.plex.leave import remove_from_cluster

READY = 120.0
"""Seconds until a master that has joined is Ready."""

CONTROL_PLANE = "control-plane"


@dataclass(frozen=True, slots=True)
class Masters:
    """The masters of a plex whose cluster runs, and the changes of a run."""

    ctx: Context
    plan: Plan
    inputs: Inputs
    states: Mapping[str, HostState]
    kube: Kube
    run: Run
    drain: bool
    lose_pods: bool

    def roll(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Let masters join and leave; the changes that are left for the rest of the run."""
        joining = [change for change in changes if change.joins]
        leaving = [c for c in changes if c.deletes and not c.joins and self._is_member(c)]
        if not joining and not leaving:
            return tuple(changes)
        first = [c for c in changes if not c.joins and not c.deletes and not _waits(c)]
        self._apply(first)
        self._until_ready([c.name for c in first if c.is_instance])
        # New masters first: no member leaves before another one has come.
        for change in sorted(joining, key=self._is_member):
            self._join(change)
        if leaving:
            self._leave(leaving)
        done = {change.key for change in (*first, *joining)}
        return tuple(change for change in changes if change.key not in done)

    def _join(self, change: Change) -> None:
        """Create or replace one master."""
        name, etcd = change.name, self._etcd()
        members = etcd.without(name).members()
        if not healthy_without(members, name):
            raise PlexError(
                f"refusing to replace {name}: too few other members of etcd are healthy",
                details=tuple(faults(members, self._etcd().without(name).masters)),
                hint=f"start or replace those first; `plexctl status {self.plan.plex.name}`",
            )
        if change.deletes:
            self._drain([change])
        title = f"{'replace' if change.deletes else 'add'} master {name}"
        with self.run.step(title) as step:
            if self._runs(change):
                step.progress("hand the endpoint over")
                self._execute(name, ("systemctl", "stop", "keepalived"))
            step.progress("change the members of etcd")
            etcd.remove(name)
            me = self._node(name)
            others = etcd.add(name, peer_url(me))
            nodes = [self._node(one) for one in others if one != name]
            step.progress("create the instance")
            files = joining(self.plan, name, self.inputs, (*nodes, me))
            self._apply([replace(change, resource=files)])
            step.progress("wait until etcd has caught up")
            etcd.promote(name)
            self.run.mark(name, "member")
            step.end(Outcome.CHANGED, change.action.past)
        self._until_ready([name], master=True)

    def _leave(self, leaving: Sequence[Change]) -> None:
        """Remove masters that become workers, or are deleted."""
        names = [change.name for change in leaving]
        self._drain(leaving)
        with self.run.step(f"remove {', '.join(names)} from etcd") as step:
            for change in leaving:
                if self._runs(change):
                    self._execute(change.name, ("systemctl", "disable", "--now", "keepalived"))
            if self.plan.plex.masters == 1:
                self._execute(self.plan.nodes[0].name, take_endpoint(self.plan.plex))
            etcd = self._etcd()
            for name in names:
                etcd = etcd.without(name)
            for name in reversed(names):
                etcd.remove(name)
            step.end(Outcome.CHANGED, f"{len(names)} removed")

    def _drain(self, changes: Sequence[Change]) -> None:
        remove_from_cluster(
            self.plan,
            self.states,
            changes,
            self.kube,
            self.run,
            drain_first=self.drain,
            lose_pods=self.lose_pods,
        )

    def _apply(self, changes: Sequence[Change]) -> None:
        if changes:
            engine = engine_of(self.ctx, self.plan.plex.name, self.run)
            job = ApplyJob(self.plan.resources, tuple(changes), self.states, self.run.id, self.run)
            engine.apply(job)

    def _until_ready(self, names: Sequence[str], *, master: bool = False) -> None:
        """Wait until nodes are Ready; a master also until its own API server has marked it."""
        nodes = [one for one in self.plan.nodes if one.name in names and one.role is not Role.PLAIN]
        if not nodes:
            return
        conditions = ClusterConditions(
            self.plan.plex, tuple(nodes), self.kube, self.ctx.hosts, self.run
        )
        with self.run.step(
            f"wait until {', '.join(names)} {'is' if len(names) == 1 else 'are'} Ready"
        ):
            wait(conditions.nodes_ready())
            if master:
                wait(Condition(f"{names[0]} is a master", lambda: self._marked(names[0]), READY))

    def _marked(self, name: str) -> Observation:
        found = {one.name: one for one in self.kube.nodes()}
        return Observation(name in found and CONTROL_PLANE in found[name].roles)

    def _etcd(self) -> Etcd:
        """etcd, asked on the masters that the hosts had at first, and on those that have joined."""
        found = {one.name: one for one in self.plan.nodes if one.role is Role.MASTER}
        for state in self.states.values():
            for name, one in state.instances.items():
                if BORN in one.tags and one.status == RUNNING:
                    found.setdefault(name, self._node(name))
        return Etcd(self.plan.plex.name, tuple(found.values()), self.ctx.hosts)

    def _node(self, name: str) -> Node:
        """A node of the plex by its name, whether or not the plex still has it."""
        return node(self.plan.plex, int(name.removeprefix(self.plan.plex.name)))

    def _is_member(self, change: Change) -> bool:
        """Whether the instance of a change is a master of the cluster that runs."""
        observed = self.states[change.host].instances.get(change.name)
        if observed is None or not change.is_instance:
            return False
        several = BORN in observed.tags
        return several or (change.joins and "parent" not in observed.tags)

    def _runs(self, change: Change) -> bool:
        observed = self.states[change.host].instances.get(change.name)
        return observed is not None and observed.status == RUNNING

    def _execute(self, name: str, argv: tuple[str, ...]) -> None:
        self.ctx.hosts[self._node(name).host].execute(name, argv)


def _waits(change: Change) -> bool:
    """Whether a change has to wait until masters have joined: workers that exist are replaced."""
    return change.is_instance and change.action not in (Action.CREATE, Action.START)
