"""The cluster of a plex in memory: nodes register when their instances run on a fake host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from plexctl.clients.kube.client import Kube, NodeStatus, Pod, UnreachableError
from plexctl.model.observed import RUNNING
from tests.fake_incus import FakeIncus


class FakeKube(Kube):
    """An API that answers while the master runs.

    `calls` are all calls that change something, as ("delete_node", "demo2"). A node object that
    was deleted comes back when its instance is created again, or its kubelet is restarted.
    """

    def __init__(self, master: str, hosts: Mapping[str, FakeIncus]) -> None:
        super().__init__("https://cluster.test", requests.Session())
        self.calls: list[tuple[str, str]] = []
        self.unanswered_probes = 0  # calls that are not answered before the API answers
        self._master = master
        self._hosts = hosts
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
        if self._master not in running:
            raise UnreachableError("the API does not answer")
        return tuple(
            NodeStatus(name, True, "", "v1.36.3", (), False)
            for name in sorted(running)
            if self._deleted.get(name) != self._kubelet(name)
        )

    def delete_node(self, name: str) -> None:
        self.calls.append(("delete_node", name))
        self._deleted[name] = self._kubelet(name)

    def cordon(self, name: str) -> bool:
        self.calls.append(("cordon", name))
        return True

    def uncordon(self, name: str) -> bool:
        self.calls.append(("uncordon", name))
        return True

    def pods(self, *, node: str = "", selector: str = "") -> tuple[Pod, ...]:
        return ()

    def replicas(self, namespace: str, deployment: str) -> tuple[int, int]:
        return (1, 1)

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        return {}

    def _kubelet(self, name: str) -> object:
        """Another value after each start of a kubelet: with its instance, or by `systemctl`."""
        host = next(host for host in self._hosts.values() if name in host.instances.held)
        return host.instances.held[name], len(host.instances.scripts)
