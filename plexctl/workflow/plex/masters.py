"""Masters of a cluster that runs join and leave it, one after another.

etcd loses one member at a time, and gets the next one before it loses another. So its contents
stay, and the API answers at its endpoint all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from plexctl.bootstrap.etcd import Etcd, faults, healthy_without
from plexctl.bootstrap.hand_over import HandOver
from plexctl.bootstrap.shape import dns_rolled_out, shape_cluster, shape_dns
from plexctl.bootstrap.wait import ClusterConditions, unless_unreachable
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, TimedOutError, wait
from plexctl.model.events import Outcome, Step
from plexctl.model.nodes import node
from plexctl.model.observed import RUNNING, HostState
from plexctl.model.plex import Node, Role
from plexctl.plan.genesis.endpoints import endpoint_documents
from plexctl.plan.inputs import Inputs, Join
from plexctl.plan.kubernetes.static_pods import peer_url
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

MOVED = 20.0
"""Seconds until the API answers at its address after that has moved."""

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
    keep: Callable[[Change], Change] = lambda change: change
    """Called before a master is replaced; it may put the old instance aside."""
    _works_alone: dict[str, bool] = field(default_factory=dict)  # masters that were asked

    def roll(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Let masters join and leave; the changes that are left for the rest of the run."""
        joining = [change for change in changes if change.joins]
        leaving = [c for c in changes if c.deletes and not c.joins and self._is_member(c)]
        if not joining and not leaving:
            return tuple(changes)
        # A port of the host leads to several masters until the only one has a device for it.
        late = self.plan.plex.masters == 1
        first = [c for c in changes if not c.joins and not c.deletes and not _waits(c)]
        first = [c for c in first if not (late and c.action is Action.UPDATE)]
        self._apply(first)
        self._until_ready([c.name for c in first if c.is_instance])
        # New masters first: no member leaves before another one has come.
        for change in sorted(joining, key=self._is_member):
            self._join(change)
        becoming = [change for change in leaving if change.resource is not None]
        if leaving:
            self._leave(leaving)
            # Other workers may leave next: their pods need a place.
            self._apply(becoming)
            self._until_ready([change.name for change in becoming])
        self._shape()
        done = {change.key for change in (*first, *joining, *becoming)}
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
            self._until_api_answers()
            self._drain([change])
        title = f"{'replace' if change.deletes else 'add'} master {name}"
        with self.run.step(title) as step:
            voters = [self._node(one.name) for one in members if not one.learner and one.healthy]
            alone = self._alone(voters)
            if self._runs(change):
                self._hand_over(name, voters, step, alone=name in alone)
            self._works_alone[name] = self.plan.plex.masters == 1
            step.progress("change the members of etcd")
            etcd.remove(name)
            me = self._node(name)
            others = etcd.add(name, peer_url(me))
            nodes = [self._node(one) for one in others if one != name]
            step.progress("create the instance")
            # Its controllers must not work beside others that elect no leader with them.
            hold = self.plan.plex.masters == 1 or bool(alone - {name})
            files = joining(self.plan, name, self.inputs, Join((*nodes, me), hold=hold))
            self._apply([self.keep(replace(change, resource=files))])
            step.progress("wait until etcd has caught up")
            etcd.promote(name)
            self.run.mark(name, "member")
            step.end(Outcome.CHANGED, change.action.past)
        self._until_ready([name], master=True)

    def _hand_over(self, name: str, voters: Sequence[Node], step: Step, *, alone: bool) -> None:
        """Let other masters do the work of one that runs and is to be replaced."""
        step.progress("hand the endpoint over")
        if not alone:
            self._execute(name, ("systemctl", "stop", "keepalived"))
            return
        me, others = self._node(name), [one for one in voters if one.name != name]
        self._work.release(me, others)
        self._until_api_answers()
        # Its API server writes its own address there every ten seconds, until it has ended.
        self._lead_to_endpoint()
        self._work.retire(me)
        self._lead_to_endpoint()
        for one in others:
            self._work.work(one)

    def _leave(self, leaving: Sequence[Change]) -> None:
        """Remove masters that become workers, or are deleted."""
        names, plex = [change.name for change in leaving], self.plan.plex
        stay = [one for one in self._etcd().members() if one.name not in names]
        if 2 * sum(one.healthy and not one.learner for one in stay) <= len(stay):
            raise PlexError(
                f"refusing to remove {', '.join(names)}: too few other members of etcd are healthy",
                details=tuple(faults(stay, [self._node(one.name) for one in stay if one.name])),
                hint=f"start or replace those first; `plexctl status {plex.name}`",
            )
        self._until_api_answers()
        # DNS moves to the masters that stay before the others are drained.
        with self.run.step("move DNS to the masters that stay"):
            shape_dns(plex, self.kube, least=2)
            try:
                wait(dns_rolled_out(plex, self.kube))
            except TimedOutError as error:
                self.run.note(f"DNS may be away for a moment: {error.details[0]}")
        self._drain(leaving)
        with self.run.step(f"remove {', '.join(names)} from etcd") as step:
            # The master that stays has the address before the others give it up.
            if plex.masters == 1:
                self._work.take(self.plan.nodes[0])
            for change in leaving:
                if self._runs(change):
                    self._execute(change.name, ("systemctl", "disable", "--now", "keepalived"))
            if plex.masters == 1:
                self._work.take(self.plan.nodes[0])  # the others have announced it once more
            etcd = self._etcd()
            for name in names:
                etcd = etcd.without(name)
            for name in reversed(names):
                etcd.remove(name)
            if plex.masters == 1:
                self._work.work(self.plan.nodes[0])
            step.progress("wait until the API answers")
            self._until_api_answers()
            step.end(Outcome.CHANGED, f"{len(names)} removed")

    def _shape(self) -> None:
        """Bring what depends on the number of masters to what the plan says."""
        self._until_api_answers()
        shape_cluster(self.plan.plex, self.kube)

    def _until_api_answers(self) -> None:
        """Wait until the API answers where it is now: connections to where it was are broken.

        Without draining it may be away: a master is replaced although no API server works.
        """
        name = self.plan.plex.name

        def probe() -> Observation:
            self.kube.nodes()
            return Observation(True)

        with suppress(*(() if self.drain else (TimedOutError,))):
            hint = f"`--no-drain` goes on without it; `plexctl status {name}`"
            answers = f"the API of {name} answers"
            wait(Condition(answers, unless_unreachable(probe), MOVED, hint=hint))

    def _lead_to_endpoint(self) -> None:
        for document in endpoint_documents(self.plan.plex):
            self.kube.apply(document)

    def _alone(self, voters: Sequence[Node]) -> frozenset[str]:
        """The masters whose controllers elect no leader."""
        for one in voters:
            if one.name not in self._works_alone:
                self._works_alone[one.name] = self._work.works_alone(one)
        return frozenset(one.name for one in voters if self._works_alone[one.name])

    @property
    def _work(self) -> HandOver:
        return HandOver(self.plan.plex, self.ctx.hosts)

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
                marked = unless_unreachable(lambda: self._marked(names[0]))
                wait(Condition(f"{names[0]} is a master", marked, READY))

    def _marked(self, name: str) -> Observation:
        found = {one.name: one for one in self.kube.nodes()}
        return Observation(name in found and CONTROL_PLANE in found[name].roles)

    def _etcd(self) -> Etcd:
        """etcd, asked on the masters that the hosts had at first, and on those that have joined."""
        found = {one.name: one for one in self.plan.nodes if one.role is Role.MASTER}
        for state in self.states.values():
            for name, one in state.instances.items():
                ours = self.plan.instances[0].owner.owns(one.tags)
                if ours and BORN in one.tags and one.status == RUNNING:
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
