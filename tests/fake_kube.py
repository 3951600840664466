"""The cluster of a plex in memory: nodes register when their instances run on a fake host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from plexctl.clients.http_session import url_session
from plexctl.clients.kube.client import Kube, NodeStatus, Pod, UnreachableError
from plexctl.model.observed import RUNNING
from tests.fake_incus import FakeIncus


class FakeKube(Kube):
    """An API that answers while the master runs.

    `calls` are all calls that change something, as ("delete_node", "demo2"). A node object that
    was deleted comes back when its instance is created again, or its kubelet is restarted.
    """

    def __init__(self, master: str, hosts: Mapping[str, FakeIncus]) -> None:
        super().__init__("https://cluster.test", url_session("https://cluster.test"))
        self.calls: list[tuple[str, str]] = []
        self.masters: tuple[str, ...] = (master,)  # the API answers while one of them runs
        self.dns_pods = 1
        self.ghosts: set[str] = set()  # nodes that stay registered without a machine
        self.control_plane: set[str] = set()  # nodes with the label of that role
        self.objects: dict[str, dict[str, Any]] = {}  # what `read` finds, by path
        self.unanswered_probes = 0  # calls that are not answered before the API answers
        self.registering: dict[str, int] = {}  # node -> lists of nodes before it registers
        self.reported: datetime | None = None  # by all kubelets; None: just now
        self.renewed: dict[str, datetime] = {}  # leases, by node
        self.patches: list[dict[str, Any]] = []  # of `patch_lists`
        self._hosts = hosts
        self.cordoned: dict[str, bool] = {}  # node -> whether plexctl has cordoned it
        self._deleted: dict[str, object] = {}  # node -> its kubelet when the object was deleted

    def nodes(self) -> tuple[NodeStatus, ...]:
        if self.unanswered_probes > 0:
            self.unanswered_probes -= 1
            raise UnreachableError("the API does not answer")
        running = {
            name
            for host in self._hosts.values()
            for name, instance in host.instances.held.items()
            if instance.status == RUNNING
        }
        if running.isdisjoint(self.masters):
            raise UnreachableError("the API does not answer")
        late = {name for name, lists in self.registering.items() if lists > 0}
        self.registering = {name: lists - 1 for name, lists in self.registering.items()}
        return tuple(
            NodeStatus(
                name,
                True,
                "",
                "v1.36.3",
                ("control-plane",) if name in self.control_plane else (),
                name in self.cordoned,
                self.cordoned.get(name, False),
                self.reported or datetime.now(UTC),
            )
            for name in sorted((running - late) | self.ghosts)
            if name in self.ghosts or self._deleted.get(name) != self._kubelet(name)
        )

    def renewals(self) -> dict[str, datetime]:
        return self.renewed

    def delete_node(self, name: str) -> None:
        self.calls.append(("delete_node", name))
        self.cordoned.pop(name, None)
        if name in self.ghosts:
            self.ghosts.remove(name)
        else:
            self._deleted[name] = self._kubelet(name)

    def cordon(self, name: str) -> bool:
        self.calls.append(("cordon", name))
        if not self._is_registered(name):
            return False
        self.cordoned[name] = True
        return True

    def uncordon(self, name: str) -> bool:
        self.calls.append(("uncordon", name))
        if not self._is_registered(name):
            return False
        self.cordoned.pop(name, None)
        return True

    def pods(self, *, node: str = "", selector: str = "") -> tuple[Pod, ...]:
        return ()

    def ready_endpoints(self, namespace: str, service: str) -> int:
        return self.dns_pods

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        return self.objects.get(path, {})

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("apply", document["kind"]))
        return document

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        self.calls.append(("patch", path))
        self.objects[path] = change
        return True

    def patch_lists(self, path: str, change: dict[str, Any]) -> bool:
        self.calls.append(("patch_lists", path))
        self.patches.append(change)
        return True

    def _is_registered(self, name: str) -> bool:
        """Whether there is a node object: it stays when its instance stops."""
        exists = any(name in host.instances.held for host in self._hosts.values())
        late = self.registering.get(name, 0) > 0
        return exists and not late and self._deleted.get(name) != self._kubelet(name)

    def _kubelet(self, name: str) -> object:
        """Another value after each start of a kubelet: with its instance, or by `systemctl`."""
        host = next(host for host in self._hosts.values() if name in host.instances.held)
        return host.instances.held[name], host.instances.scripts.count("systemctl restart kubelet")


def objects_at_rest(master: str) -> dict[str, dict[str, Any]]:
    """The objects of a cluster of one node that lacks nothing, by their keys in etcd."""
    here = {"namespace": "kube-system"}
    return {
        "/registry/namespaces/kube-system": {
            "kind": "Namespace",
            "metadata": {"name": "kube-system"},
        },
        "/registry/serviceaccounts/kube-system/default": {
            "kind": "ServiceAccount",
            "metadata": {"name": "default", **here},
        },
        "/registry/configmaps/kube-system/kube-root-ca.crt": {
            "kind": "ConfigMap",
            "metadata": {"name": "kube-root-ca.crt", **here},
            "data": {"ca.crt": "-----"},
        },
        "/registry/clusterroles/admin": {
            "kind": "ClusterRole",
            "metadata": {"name": "admin"},
            "aggregationRule": {},
            "rules": [{"verbs": ["get"]}],
        },
        "/registry/deployments/kube-system/coredns": {
            "kind": "Deployment",
            "metadata": {"name": "coredns", **here},
            "spec": {"replicas": 1},
            "status": {"readyReplicas": 1},
        },
        "/registry/daemonsets/kube-system/kube-proxy": {
            "kind": "DaemonSet",
            "metadata": {"name": "kube-proxy", **here},
            "status": {"desiredNumberScheduled": 1, "numberReady": 1},
        },
        "/registry/pods/kube-system/kube-proxy-b7x2q": {
            "kind": "Pod",
            "metadata": {"name": "kube-proxy-b7x2q", "generateName": "kube-proxy-", **here},
            "spec": {"nodeName": master},
            "status": {"phase": "Running", "qosClass": "BestEffort"},
        },
    }
