"""The engine `direct`: calls to the hosts' own APIs. The objects on the hosts are all its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plexctl.model.host import Host
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Resource
from plexctl.provision.change import Change, DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.direct.claim import claim_bare_clones
from plexctl.provision.read import read_hosts

if TYPE_CHECKING:
    from plexctl.provision.engine import ApplyJob


@dataclass(frozen=True, slots=True)
class DirectEngine:
    """One client per host. Each host sets how many objects are changed on it at once."""

    hosts: Mapping[str, Host]

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return read_hosts(self.hosts, hosts)

    def diff(
        self, resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return diff(resources, claim_bare_clones(states, options.owner), options)

    def apply(self, job: ApplyJob) -> None:
        from plexctl.provision.direct.apply import apply  # `plan` and `status` apply nothing

        apply(self.hosts, job)
