"""The lab's registry: one node on each host. It stores what is pushed, and caches upstreams."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

PORT = 5000

TYPE = "registry"
"""The type of its node; a lab may have its own `types/registry.yaml`."""

UPSTREAMS = (
    ("docker.io", "https://registry-1.docker.io"),
    ("ghcr.io", "https://ghcr.io"),
    ("quay.io", "https://quay.io"),
    ("registry.k8s.io", "https://registry.k8s.io"),
)


@dataclass(frozen=True, slots=True)
class Registry:
    """The `registry` of hosts.yaml.

    Images of an upstream are below a folder with its name ("docker.io/library/nginx"); what is
    pushed has any other name.
    """

    name: str  # of its node and of its network
    network: IPv4Network
    upstreams: tuple[tuple[str, str], ...]  # name in image references -> URL
    size: int | None = None  # bytes that its volume may take on each host

    @property
    def gateway(self) -> IPv4Interface:
        """The host's address on the registry's bridge."""
        return IPv4Interface((self.network[1], self.network.prefixlen))

    @property
    def address(self) -> IPv4Interface:
        return IPv4Interface((self.network[2], self.network.prefixlen))

    @property
    def ip(self) -> IPv4Address:
        return self.address.ip

    @property
    def endpoint(self) -> str:
        """`address:port`, over HTTPS with a certificate of the lab's CA."""
        return f"{self.address.ip}:{PORT}"
