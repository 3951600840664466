"""A cluster that has come to rest: its controllers have nothing to do any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from plexctl.bootstrap.wait import unless_unreachable
from plexctl.clients.kube.client import Kube
from plexctl.clients.kube.dump import read_objects
from plexctl.model.condition import Condition, Observation
from plexctl.plan.genesis.record import TOKEN, reference, unfinished

QUIET = 2.0
"""Seconds without a change, once nothing is lacking. Changes of a start are 1.2 s apart at most, on
two cores that much else uses. Nothing follows later but the end of kubeadm's token, after a minute:
observed for 150 s."""

DEADLINE = 90.0
TOKENS = "/api/v1/namespaces/kube-system/secrets"


@dataclass(slots=True)
class Rest:
    """What is in etcd of a cluster, without what a start changes all the time.

    `values` are the holes of its plex (`holes.plex_values`).
    """

    kube: Kube
    values: Mapping[str, str]
    now: Callable[[], float] = time.monotonic
    recorded: dict[str, Any] = field(default_factory=dict)  # by the last look
    _since: float = 0.0  # when `recorded` was first found like this

    def condition(self, name: str) -> Condition:
        """The cluster of the plex `name` lacks nothing, and has not changed for QUIET seconds."""
        return Condition(
            f"the cluster {name} is at rest",
            probe=unless_unreachable(self._look),
            deadline=DEADLINE,
            every=0.3,
        )

    def _look(self) -> Observation:
        objects = read_objects(self.kube)
        found, now = reference(objects, self.values), self.now()
        if found != self.recorded:
            self.recorded, self._since = found, now
        lacking = list(unfinished(objects))
        if lacking:
            return Observation(False, "; ".join(lacking[:3]))
        quiet = now - self._since
        return Observation(quiet >= QUIET, f"it has changed {quiet:.1f} s ago")


def delete_tokens(kube: Kube) -> None:
    """Delete the bootstrap tokens of a cluster. Controllers do it when the tokens end."""
    found = kube.read(TOKENS, params={"fieldSelector": f"type={TOKEN}"}) or {}
    for one in found.get("items", ()):
        kube.delete(f"{TOKENS}/{one['metadata']['name']}")
