"""The addresses of the objects in OpenTofu's state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from plexctl.clients.tofu import Tofu
from plexctl.provision.change import Change


@dataclass(frozen=True, slots=True)
class TofuState:
    """OpenTofu's state. Objects that are removed from it stay on their hosts."""

    tofu: Tofu = field(repr=False)
    addresses: frozenset[str]

    def keep(self, kept: Iterable[str]) -> TofuState:
        """The state without all objects but `kept`."""
        return self.forget(self.addresses - frozenset(kept))

    def forget(self, forgotten: Iterable[str]) -> TofuState:
        """The state without `forgotten`."""
        there = self.addresses & frozenset(forgotten)
        self.tofu.forget(sorted(there))
        return TofuState(self.tofu, self.addresses - there)

    def of_deleted(self, changes: Iterable[Change]) -> frozenset[str]:
        """Addresses of the objects that are deleted for good."""
        names = {
            name
            for change in changes
            if change.resource is None
            for name in (change.name, f"{change.host}/{change.name}")
        }
        return frozenset(one for one in self.addresses if _index(one) in names)


def _index(address: str) -> str:
    """`demo2` of `module.incus.module.worker.incus_instance.node["demo2"]`."""
    return address.rpartition('["')[2].removesuffix('"]')
