"""The waits of a run on a plex: its API, its nodes, DNS, and its apps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import Kube
from plexctl.model.apps import Apps
from plexctl.model.condition import Condition, wait
from plexctl.model.events import Outcome
from plexctl.model.kinds import Cni
from plexctl.model.plex import Node, Role
from plexctl.plan.plan import Plan
from plexctl.provision.change import Change
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.core.unreachable import on_reachable_hosts
from plexctl.workflow.gitops.delivery import Delivery
from plexctl.workflow.plex.drain import name_list
from plexctl.workflow.plex.leave import delete_left_nodes
from plexctl.workflow.plex.repair import repair_members


@dataclass(frozen=True, slots=True)
class ClusterWaits:
    """Waits for one cluster, each a step of the run. Nodes of unreachable hosts are left out."""

    ctx: Context
    plan: Plan
    kube: Kube
    run: Run
    seconds: dict[str, float] = field(default_factory=dict)  # "api", "nodes", … since the start
    since: Mapping[str, datetime] = field(default_factory=dict)
    """When nodes were started that the cluster had before: it has old states until they report."""
    _marked: set[str] = field(default_factory=set)

    def api_answers(self) -> Condition:
        return self._conditions().api_answers()

    def until_api_answers(self) -> None:
        if "api" not in self.seconds:
            self._wait(self.api_answers(), "api")

    def until_ready(self, changes: Sequence[Change], *, new: bool) -> bool:
        """Wait until all nodes are Ready and DNS answers; a plex without a cluster has no waits.

        `new`: the cluster begins in this run, and has what the plex says.

        Returns whether apps can run. With `cni: none` nodes may wait for the user's plugin: the run
        notes that, and waits for nothing that needs it.
        """
        if all(node.role is Role.PLAIN for node in self.plan.nodes):
            return False
        self.until_api_answers()
        delete_left_nodes(changes, self.kube, self.run)
        if self.plan.plex.masters > 1 and not new:
            from plexctl.bootstrap.shape import shaped

            wait(shaped(self.plan.plex, self.kube))
        repair_members(self._members(), self.kube, self.ctx.hosts, self.run, changes)
        self._wait(self._conditions().nodes_ready(), "nodes")
        if self.plan.plex.cni is Cni.NONE:
            waiting = [node.name for node in self.kube.nodes() if not node.ready]
            if waiting:
                self.run.note(f"install a CNI plugin: {name_list(waiting)} become Ready then")
                return False
        self._wait(self._conditions().dns_answers(self._asking(changes)), "dns")
        return True

    def until_delivered(self, delivery: Delivery) -> Apps:
        """Wait until the apps of the plex are delivered."""
        apps = delivery.wait(self.kube, self.run)
        self.seconds["apps"] = self.run.seconds()
        self.run.mark(self.plan.nodes[0].name, "apps")
        return apps

    def _conditions(self) -> ClusterConditions:
        nodes = on_reachable_hosts(self.ctx, self.plan.nodes)
        plex, hosts = self.plan.plex, self.ctx.hosts
        return ClusterConditions(
            plex, nodes, self.kube, hosts, self.run, self._marked, since=self.since
        )

    def _wait(self, condition: Condition, name: str) -> None:
        with self.run.step(condition.title) as step:
            wait(condition)
            self.seconds[name] = self.run.seconds()
            step.end(Outcome.UNCHANGED)

    def _asking(self, changes: Sequence[Change]) -> tuple[Node, ...]:
        """The nodes that query DNS: those that the run has changed.

        The others have queried it when they were created. A query is a call of a host.
        """
        changed = {change.name for change in changes if change.is_instance}
        return tuple(node for node in self._members() if node.name in changed)

    def _members(self) -> tuple[Node, ...]:
        """The nodes of the cluster that are waited for."""
        nodes = on_reachable_hosts(self.ctx, self.plan.nodes)
        return tuple(node for node in nodes if node.role is not Role.PLAIN)
