"""Keys that belong to a lab and outlive its plexes."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from plexctl.keys.certificates import CLIENT, SERVER, Authority, KeyPair, private_key
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import SshKey, derived_key
from plexctl.model.secret import Secret

PUSHER = "plexctl"
"""The only user of the lab's registry that may push."""


@dataclass(frozen=True, slots=True)
class LabKeys:
    """The lab's own CA, and the keys and the password of the lab's registry."""

    seed: RootSeed
    ca: Authority

    @classmethod
    def derive(cls, seed: RootSeed) -> LabKeys:
        return cls(seed, Authority.create(f"plexctl {seed.short_id}", _key(seed, "ca")))

    def registry(self, name: str, address: IPv4Address) -> KeyPair:
        """The server certificate of the registry node `name`."""
        return self.ca.issue(
            _key(self.seed, "registry", name), name, SERVER, sans=(name, str(address))
        )

    def client(self) -> KeyPair:
        """The client certificate of plexctl for Incus servers over HTTPS."""
        return self.ca.issue(
            _key(self.seed, "host-client"), f"plexctl {self.seed.short_id}", CLIENT
        )

    def push_password(self) -> Secret:
        """The password of the user PUSHER: 64 hex digits."""
        return Secret(self.seed.derive("registry", "push").hex().encode())


def deploy_key(seed: RootSeed, plex: str) -> SshKey:
    """The SSH key with which Flux in `plex` reads its git repository."""
    return derived_key(seed, ("ssh", "deploy", plex), f"flux-{plex}-{seed.short_id}")


def _key(seed: RootSeed, *path: str) -> EllipticCurvePrivateKey:
    return private_key(seed.derive("lab-pki", *path, length=48))
