"""What `up` waits for: the API, the nodes, DNS. Each wait has an end and says what it saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from plexctl.clients.kube.client import Kube, NodeStatus, UnreachableError
from plexctl.clients.kube.look import COREDNS
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation
from plexctl.model.events import Reporter
from plexctl.model.host import Host
from plexctl.model.plex import Node, Plex, Role

API, NODES, DNS = 120.0, 180.0, 120.0
PER_NODE = 4.0
"""Seconds. A plex of many nodes is given more, by the node."""

LOOK = 0.01
"""Seconds between two looks at all nodes, by the node: each answer has all that is known of each,
which costs the API time that they wait for."""

KUBEADM_LAST = (
    "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-public/rolebindings"
    "/kubeadm:bootstrap-signer-clusterinfo"
)
"""What the last phase of `kubeadm init` makes last."""

UNITS = ("plex-boot", "containerd", "kubelet", "plex-node")
NODES_EXPLAINED = 3


@dataclass(frozen=True, slots=True)
class Watch:
    """What the conditions of one plex look at."""

    plex: Plex
    nodes: tuple[Node, ...]
    kube: Kube
    hosts: Mapping[str, Host]
    reporter: Reporter
    _marked: set[str] = field(default_factory=set)

    def api_answers(self) -> Condition:
        master = self.nodes[0]
        return Condition(
            f"the API of {self.plex.name} answers",
            probe=_told(self._api),
            deadline=API,
            explain=lambda: self._explain([master]),
            hint=_look(self.plex, master),
        )

    def nodes_ready(self) -> Condition:
        members = [node for node in self.nodes if node.role is not Role.PLAIN]
        return Condition(
            f"all {len(members)} nodes of {self.plex.name} are Ready",
            probe=_told(lambda: self._nodes(members)),
            deadline=NODES + PER_NODE * len(members),
            every=max(0.1, len(members) * LOOK),
            explain=lambda: self._explain(self._late(members)),
            hint=lambda: _look(self.plex, (self._late(members) or members)[0]),
        )

    def dns_available(self) -> Condition:
        """CoreDNS answers: the first call that an application would make."""
        return Condition(
            f"DNS of {self.plex.name} answers",
            probe=_told(self._dns),
            deadline=DNS,
            explain=self._explain_dns,
            hint=f"kubectl --kubeconfig <(plexctl kubeconfig {self.plex.name})"
            " -n kube-system describe pods -l k8s-app=kube-dns",
        )

    def _api(self) -> Observation:
        # Asked for what comes next; /readyz waits for much that no node needs.
        self.kube.nodes()
        self._mark(self.nodes[0].name, "api")
        return Observation(True)

    def _nodes(self, members: Sequence[Node]) -> Observation:
        found = {node.name: node for node in self.kube.nodes()}
        for name, status in found.items():
            self._mark(name, "registered")
            if status.ready:
                self._mark(name, "ready")
        missing = [_state(node.name, found.get(node.name)) for node in members]
        waiting = [text for text in missing if text]
        return Observation(not waiting, "; ".join(waiting[:4]))

    def _dns(self) -> Observation:
        available, wanted = self.kube.available(*COREDNS)
        if not 0 < wanted <= available:
            return Observation(
                False, f"{available} of {wanted or self.plex.dns_replicas} CoreDNS pods"
            )
        self._mark(self.nodes[0].name, "dns")
        # What joins by itself, or is upgraded, needs what kubeadm leaves after the addons.
        return Observation(
            self.kube.read(KUBEADM_LAST) is not None, "kubeadm is not done on the master"
        )

    def _mark(self, node: str, what: str) -> None:
        if f"{node}/{what}" not in self._marked:
            self._marked.add(f"{node}/{what}")
            self.reporter.mark(node, what)

    def _late(self, members: Sequence[Node]) -> list[Node]:
        try:
            ready = {node.name for node in self.kube.nodes() if node.ready}
        except PlexError:
            ready = set()
        return [node for node in members if node.name not in ready]

    def _explain(self, late: Sequence[Node]) -> tuple[str, ...]:
        """Unit states and last log lines of the first nodes that are late."""
        lines = []
        for node in late[:NODES_EXPLAINED]:
            lines += [f"{node.name}: {line}" for line in node_report(self.hosts[node.host], node)]
        return tuple(lines)

    def _explain_dns(self) -> tuple[str, ...]:
        try:
            pods = self.kube.pods(selector="k8s-app=kube-dns")
        except PlexError as error:
            return (error.summary,)
        return tuple(f"{p.name} on {p.node or 'no node'}: {p.phase}" for p in pods)


def node_report(host: Host, node: Node) -> tuple[str, ...]:
    """What a node's units do, and the last lines of the log of those that are not well."""
    report = (
        f"for unit in {' '.join(UNITS)}; do "
        'state=$(systemctl is-active $unit); echo "$unit is $state"; '
        '[ "$state" = active ] && [ $unit != kubelet ] || '
        "journalctl -u $unit -n 4 -o cat --no-pager; done"
    )
    try:
        return tuple(host.execute(node.name, ("sh", "-c", report)).stdout.splitlines())
    except PlexError as error:
        return (error.summary,)


def _told(probe: Callable[[], Observation]) -> Callable[[], Observation]:
    """What cannot be asked yet does not hold yet."""

    def look() -> Observation:
        try:
            return probe()
        except UnreachableError as error:
            return Observation(False, " ".join((error.summary, *error.details)))

    return look


def _state(name: str, status: NodeStatus | None) -> str:
    if status is None:
        return f"{name} is not registered"
    return "" if status.ready else f"{name}: {status.message}"


def _look(plex: Plex, node: Node) -> str:
    return f"plexctl logs {node.name} --plex {plex.name}; plexctl ssh {node.name}"
