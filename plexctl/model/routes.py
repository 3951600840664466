"""Routes of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class Route:
    """A route, but not a default route."""

    network: IPv4Network
    interface: str
    connected: bool  # an address of the interface has created it

    def overlaps(self, network: IPv4Network) -> bool:
        """Whether a bridge with `network` cannot exist beside this route.

        It can where the route leads to a larger network elsewhere, as that of a VPN does: the more
        exact route of the bridge comes first.
        """
        if self.connected:
            return self.network.overlaps(network)
        return self.network.subnet_of(network)
