"""Routes from endpoints to the functions that answer them, and the arguments of such a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fake_pve.access import Identity
    from tests.fake_pve.pve import FakePve
    from tests.fake_pve.state import Cluster, Guest
    from tests.fake_pve.tasks import Work


@dataclass(slots=True)
class Call:
    """One request that the schema and the permissions of its endpoint have let through."""

    pve: FakePve
    who: Identity
    params: dict[str, Any]
    uploads: dict[str, Path] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """The state."""
        return self.pve.cluster

    @property
    def node(self) -> str:
        """The node that the path names."""
        return str(self.params["node"])

    def guest(self, kind: str) -> Guest:
        """The guest that the path names."""
        return self.cluster.guest(kind, self.node, self.params["vmid"])

    def rest(self, *names: str) -> dict[str, Any]:
        """The parameters but those of the path and `names`."""
        out = {"node", "vmid", *names}
        return {key: value for key, value in self.params.items() if key not in out}

    def task(self, kind: str, work: Work | None = None, seconds: float | None = None) -> str:
        """Start a task about the guest of the path, and give its UPID."""
        about = self.params.get("vmid", "")
        return self.pve.tasks.start(self.node, kind, str(about), self.who, work, seconds)


Handler = Callable[[Call], Any]
ROUTES: dict[tuple[str, str], Handler] = {}


def route(*endpoints: str) -> Callable[[Handler], Handler]:
    """Say that a function answers `"METHOD /template"`."""

    def keep(handler: Handler) -> Handler:
        for endpoint in endpoints:
            method, _, template = endpoint.partition(" ")
            ROUTES[method, template] = handler
        return handler

    return keep
