"""The conditions that `up` waits for: the API answers, the nodes are Ready, DNS answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from plexctl.bootstrap.dns import DnsQueries
from plexctl.bootstrap.restarts import ERRORS, UNITS, Restarts
from plexctl.clients.kube.client import Kube, NodeStatus, UnreachableError
from plexctl.clients.kube.state import DNS_SERVICE
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation
from plexctl.model.events import Reporter
from plexctl.model.host import Host
from plexctl.model.kinds import Cni
from plexctl.model.plex import Node, Plex, Role

API, NODES, DNS = 120.0, 180.0, 120.0
"""Deadlines in seconds."""

PER_NODE = 4.0
"""Seconds that each node adds to the deadline of the nodes."""

NODES_INTERVAL = 0.01
"""Seconds between two lists of all nodes, for each node in the list: to answer with large lists
takes the API time in which no node can register."""

KUBEADM_LAST = (
    "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-public/rolebindings"
    "/kubeadm:bootstrap-signer-clusterinfo"
)
"""The object that the last phase of `kubeadm init` creates last."""

REPORT = f"""{ERRORS}
for unit in {" ".join(UNITS)}; do
  state=$(systemctl is-active $unit)
  echo "$unit is $state"
  [ "$state" = active ] && [ $unit != kubelet ] && continue
  last_errors $unit
done
"""
"""Prints the state of each unit and, unless all is as it should be, its last errors."""
NODES_EXPLAINED = 3


@dataclass(frozen=True, slots=True)
class ClusterConditions:
    """Conditions of the cluster of one plex. They mark milestones of nodes in `reporter`."""

    plex: Plex
    nodes: tuple[Node, ...]
    kube: Kube
    hosts: Mapping[str, Host]
    reporter: Reporter
    _marked: set[str] = field(default_factory=set)
    since: Mapping[str, datetime] = field(default_factory=dict)  # when nodes were started again

    def api_answers(self) -> Condition:
        """The API of the master lists nodes."""
        master, restarts = self.nodes[0], self._restarts()

        def probe() -> Observation:
            observed = unless_unreachable(self._api)()
            if not observed.holds:
                restarts.look([master], None)
            return observed

        return Condition(
            f"the API of {self.plex.name} answers",
            probe=probe,
            deadline=API,
            explain=lambda: self._explain([master]),
            hint=_hint(self.plex, master),
        )

    def nodes_ready(self) -> Condition:
        """All nodes of the plex that have joined the cluster are Ready.

        With `cni: none` they are registered: they become Ready when the user installs a plugin.
        """
        members = [node for node in self.nodes if node.role is not Role.PLAIN]
        restarts = self._restarts()
        return Condition(
            f"all {len(members)} nodes of {self.plex.name} are {self._goal}",
            probe=unless_unreachable(lambda: self._nodes(members, restarts)),
            deadline=NODES + PER_NODE * len(members),
            every=max(0.1, len(members) * NODES_INTERVAL),
            explain=lambda: self._explain(self._not_ready(members)),
            hint=lambda: _hint(self.plex, (self._not_ready(members) or members)[0]),
        )

    def dns_answers(self, asking: Sequence[Node]) -> Condition:
        """DNS answers each of `asking` through its service: an application's first call is a query.

        EndpointSlices and readiness do not say that kube-proxy has the service on a node. With no
        node to query, the condition is only that CoreDNS is available.
        """
        queries = DnsQueries(self.plex, asking, self.hosts, DNS)
        return Condition(
            f"DNS of {self.plex.name} answers"
            if asking
            else f"CoreDNS of {self.plex.name} is available",
            probe=unless_unreachable(lambda: self._dns(queries)),
            deadline=DNS,
            explain=self._explain_dns,
            hint=f"kubectl --kubeconfig <(plexctl kubeconfig {self.plex.name})"
            " -n kube-system describe pods -l k8s-app=kube-dns",
        )

    def _api(self) -> Observation:
        # The nodes are needed next. /readyz would also wait for much that no node needs.
        self.kube.nodes()
        self._mark(self.nodes[0].name, "api")
        return Observation(True)

    def _restarts(self) -> Restarts:
        return Restarts(self.hosts, lambda node: _hint(self.plex, node))

    def _nodes(self, members: Sequence[Node], restarts: Restarts) -> Observation:
        # Of a cluster that was away, the API has the old states until kubelets report new ones.
        found = {node.name: node for node in self._reported()}
        for name, status in found.items():
            self._mark(name, "registered")
            if status.ready and self._is_current(status):
                self._mark(name, "ready")
        states = {node: self._state(node.name, found.get(node.name)) for node in members}
        late = [node for node, state in states.items() if state]
        if late:
            restarts.look(late, (frozenset(found), len(late)))
        return Observation(not late, "; ".join(states[node] for node in late[:4]))

    def _dns(self, queries: DnsQueries) -> Observation:
        answered = queries.observe()
        if not answered.holds:
            return answered
        ready, wanted = self.kube.ready_endpoints(*DNS_SERVICE), self.plex.dns_replicas
        if ready < wanted:
            return Observation(False, f"{ready} of {wanted} CoreDNS pods are Ready")
        self._mark(self.nodes[0].name, "dns")
        # A node that joins later, and an upgrade, need what kubeadm creates after its addons.
        return Observation(
            self.kube.read(KUBEADM_LAST) is not None, "kubeadm still runs on the master"
        )

    def _reported(self) -> tuple[NodeStatus, ...]:
        """The nodes, with the time of the last sign of each kubelet.

        A kubelet whose node was Ready before reports that again only every 10 s, but renews its
        lease as soon as the API answers.
        """
        found = self.kube.nodes()
        if all(map(self._is_current, found)):
            return found
        renewed = self.kube.renewals()
        return tuple(
            replace(one, reported=max(filter(None, (one.reported, renewed.get(one.name)))))
            if one.name in renewed
            else one
            for one in found
        )

    def _state(self, name: str, status: NodeStatus | None) -> str:
        """The reason why a node is not Ready; empty if it is Ready."""
        if status and not self._is_current(status):
            return f"{name} has not reported since it was started"
        if status and self.plex.cni is Cni.NONE:
            return ""
        return _state(name, status)

    @property
    def _goal(self) -> str:
        return "registered" if self.plex.cni is Cni.NONE else "Ready"

    def _is_current(self, node: NodeStatus) -> bool:
        """Whether the kubelet has reported since the node was started. Times are whole seconds."""
        began = self.since.get(node.name)
        if began is None:
            return True
        return node.reported is not None and node.reported >= began.replace(microsecond=0)

    def _mark(self, node: str, milestone: str) -> None:
        if f"{node}/{milestone}" not in self._marked:
            self._marked.add(f"{node}/{milestone}")
            self.reporter.mark(node, milestone)

    def _not_ready(self, members: Sequence[Node]) -> list[Node]:
        try:
            found = self._reported()
            ready = {node.name for node in found if node.ready and self._is_current(node)}
        except PlexError:
            ready = set()
        return [node for node in members if node.name not in ready]

    def _explain(self, nodes: Sequence[Node]) -> tuple[str, ...]:
        """States of units and last log lines of the first of `nodes`."""
        lines = []
        for node in nodes[:NODES_EXPLAINED]:
            lines += [f"{node.name}: {line}" for line in node_report(self.hosts[node.host], node)]
        return tuple(lines)

    def _explain_dns(self) -> tuple[str, ...]:
        try:
            pods = self.kube.pods(selector="k8s-app=kube-dns")
        except PlexError as error:
            return (error.summary,)
        return tuple(f"{p.name} on {p.node or 'no node'}: {p.phase}" for p in pods)


def node_report(host: Host, node: Node) -> tuple[str, ...]:
    """The states of a node's units, with the last errors of the kubelet and of failed units."""
    try:
        return tuple(host.execute(node.name, ("sh", "-c", REPORT)).stdout.splitlines())
    except PlexError as error:
        return (error.summary,)


def unless_unreachable(probe: Callable[[], Observation]) -> Callable[[], Observation]:
    """`probe`, whose condition does not hold yet while the API cannot answer."""

    def tolerant() -> Observation:
        try:
            return probe()
        except UnreachableError as error:
            return Observation(False, " ".join((error.summary, *error.details)))

    return tolerant


def _state(name: str, status: NodeStatus | None) -> str:
    """The reason why a node is not Ready; empty if it is Ready."""
    if status is None:
        return f"{name} is not registered"
    return "" if status.ready else f"{name}: {status.message}"


def _hint(plex: Plex, node: Node) -> str:
    return f"plexctl logs {node.name} --plex {plex.name}; plexctl ssh {node.name}"
