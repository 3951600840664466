"""Replace the nodes of a cluster that runs: masters one by one, then workers in groups.

The old instance of a node is kept until the upgrade is over (`model.kept`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from plexctl.bootstrap.etcd import Etcd
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.kube.client import Kube
from plexctl.errors import PlexError
from plexctl.model.condition import wait
from plexctl.model.events import Outcome
from plexctl.model.observed import HostState
from plexctl.model.plex import Node
from plexctl.plan.inputs import EtcdSnapshot, Inputs
from plexctl.plan.plan import Plan, continuing
from plexctl.provision.change import Action, Change
from plexctl.provision.engine import ApplyJob
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases
from plexctl.workflow.plex.leave import remove_from_cluster
from plexctl.workflow.plex.masters import Masters
from plexctl.workflow.upgrade.changes import Rolled
from plexctl.workflow.upgrade.kubeadm import (
    complete_proxy,
    renew_proxy,
    run_phases,
    set_proxy_image,
)

STOP_API = (
    "sh",
    "-c",
    # A write that was acknowledged is in etcd. kubelet would start the API server again.
    "command -v pkill >/dev/null && systemctl stop kubelet"
    " && while pkill -KILL -x kube-apiserver; do sleep 0.02; done",
)
"""Ends the API server of a master for good, at once. etcd runs on."""

PROXY = "kube-proxy"
"""Among the images of a version."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The nodes of a plex, and how they are replaced."""

    ctx: Context
    plan: Plan
    inputs: Inputs
    states: Mapping[str, HostState]
    kube: Kube
    phases: Phases
    drain: bool
    lose_pods: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def masters(self, chosen: Rolled) -> None:
        """Replace the masters, with the state of etcd."""
        if not chosen.masters:
            return
        with self.phases.phase("masters", f"replace {_names(chosen.masters)}") as step:
            if self.plan.plex.masters == 1:
                self._only_master(chosen.masters[0])
            else:
                for change in chosen.masters:
                    self._one_of_several(change)
            step.end(Outcome.CHANGED, f"{len(chosen.masters)} replaced")
        with self.phases.phase("kubeadm", "let kubeadm upgrade the cluster's objects"):
            master = self.plan.nodes[0]
            run_phases(self.ctx.hosts[master.host], master.name)

    def workers(self, chosen: Rolled, parallel: int) -> None:
        """Drain and replace the workers, `parallel` of them at the same time."""
        for batch in chosen.batches(parallel):
            names = _names(batch)
            with self.phases.phase(f"workers {names}", f"replace {names}"):
                self._workers(batch)

    def complete(self, chosen: Rolled) -> None:
        """What comes once all nodes are new."""
        if chosen.masters:
            master = self.plan.nodes[0]
            with self.phases.phase("kube-proxy", "let kubeadm upgrade kube-proxy"):
                complete_proxy(self.kube, self.ctx.hosts[master.host], master.name)

    def wait(self, chosen: Rolled) -> None:
        """Wait as `up` does, for all nodes and for DNS on the new ones."""
        conditions = self._conditions(self.plan.nodes)
        for name, condition in (
            ("nodes", conditions.nodes_ready()),
            ("dns", conditions.dns_answers([self._node(one) for one in chosen.names])),
        ):
            with self.phases.run.step(condition.title) as step:
                wait(condition)
                self.seconds[name] = self.phases.run.seconds()
                step.end(Outcome.UNCHANGED)

    def _only_master(self, change: Change) -> None:
        """Its etcd moves with its whole state: nothing is written from the end of the old API
        server to the start of the new one.
        """
        run, node = self.phases.run, self._node(change.name)
        with run.step(f"move etcd of {node.name}") as step:
            step.progress("stop the API server")
            gone = run.seconds()
            self._execute(node, STOP_API)
            step.progress("take a snapshot of etcd")
            etcd = Etcd(self.plan.plex.name, (node,), self.ctx.hosts)
            snapshot = EtcdSnapshot(etcd.save(), continues=True)
            step.progress("create the instance")
            files = continuing(self.plan, node.name, replace(self.inputs, etcd=snapshot))
            since = self._now(node)
            self._apply((self._keep(replace(change, resource=files)),))
            step.progress("wait until its API answers")
            wait(self._conditions((node,)).api_answers())
            self.seconds["away"] = round(run.seconds() - gone, 3)
        self._proxy(node.name)
        self._until_ready((node,), {node.name: since})

    def _one_of_several(self, change: Change) -> None:
        """It leaves etcd and joins again."""
        masters = Masters(
            self.ctx,
            self.plan,
            self.inputs,
            self.states,
            self.kube,
            self.phases.run,
            self.drain,
            self.lose_pods,
            self._keep,
        )
        masters.roll((replace(change, action=Action.REPLACE),))
        self._proxy(change.name)

    def _workers(self, batch: Sequence[Change]) -> None:
        remove_from_cluster(
            self.plan,
            self.states,
            batch,
            self.kube,
            self.phases.run,
            drain_first=self.drain,
            lose_pods=self.lose_pods,
        )
        nodes = tuple(self._node(one.name) for one in batch)
        since = {one.name: self._now(one) for one in nodes}
        with self.phases.run.step(f"create {_names(batch)}"):
            self._apply([self._keep(one) for one in batch])
        self._until_ready(nodes, since)

    def _keep(self, change: Change) -> Change:
        """Put the old instance aside; the change that creates the new one."""
        self.phases.run.mark(change.name, "leaving")
        self.ctx.hosts[change.host].keeper.keep(change.name, self.phases.run.id)
        self.phases.run.mark(change.name, "gone")
        return replace(change, action=Action.CREATE)

    def _apply(self, changes: Sequence[Change]) -> None:
        run = self.phases.run
        job = ApplyJob(self.plan.resources, tuple(changes), self.states, run.id, run)
        self.ctx.engine.apply(job)

    def _proxy(self, name: str) -> None:
        """Let kube-proxy of a new master have the new image."""
        image = self.inputs.control_plane_images.get(PROXY)
        if image:
            set_proxy_image(self.kube, image)
            renew_proxy(self.kube, name, image)

    def _until_ready(self, nodes: Sequence[Node], since: Mapping[str, datetime]) -> None:
        """Wait until new nodes are Ready. Their objects may be those of the old ones."""
        conditions = self._conditions(nodes, since)
        verb = "is" if len(nodes) == 1 else "are"
        with self.phases.run.step(f"wait until {_names(nodes)} {verb} Ready"):
            wait(conditions.nodes_ready())

    def _conditions(
        self, nodes: Sequence[Node], since: Mapping[str, datetime] | None = None
    ) -> ClusterConditions:
        plex, hosts, run = self.plan.plex, self.ctx.hosts, self.phases.run
        return ClusterConditions(plex, tuple(nodes), self.kube, hosts, run, since=since or {})

    def _now(self, node: Node) -> datetime:
        """The time at a node, by the clock of its host."""
        return datetime.now(UTC) + timedelta(seconds=self.states[node.host].clock_offset)

    def _node(self, name: str) -> Node:
        return next(one for one in self.plan.nodes if one.name == name)

    def _execute(self, node: Node, argv: tuple[str, ...]) -> None:
        done = self.ctx.hosts[node.host].execute(node.name, argv, timeout=60)
        if done.code:
            raise PlexError(
                f"the API server of {node.name} cannot be stopped",
                details=done.stderr.strip().splitlines()[-3:],
            )


def _names(found: Sequence[Change] | Sequence[Node]) -> str:
    return ", ".join(one.name for one in found)
