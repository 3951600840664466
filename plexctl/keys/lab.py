"""Keys that belong to a lab and to none of its plexes: they outlive every one of them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from plexctl.keys.certificates import CLIENT, SERVER, Authority, KeyPair, private_key
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import SshKey, derived_key
from plexctl.model.secret import Secret

PUSHER = "plexctl"
"""The only user of the lab's registry who may push."""


@dataclass(frozen=True, slots=True)
class LabKeys:
    """The lab's own CA, and what the lab's registry serves and checks with."""

    seed: RootSeed
    ca: Authority

    @classmethod
    def derive(cls, seed: RootSeed) -> LabKeys:
        return cls(seed, Authority.make(f"plexctl {seed.lab_id}", _key(seed, "ca")))

    def registry(self, name: str, address: IPv4Address) -> KeyPair:
        """What the registry node `name` serves with."""
        return self.ca.issue(
            _key(self.seed, "registry", name), name, SERVER, sans=(name, str(address))
        )

    def client(self) -> KeyPair:
        """What plexctl shows as itself to Incus servers over HTTPS."""
        return self.ca.issue(_key(self.seed, "host-client"), f"plexctl {self.seed.lab_id}", CLIENT)

    def push_password(self) -> Secret:
        """Of the user PUSHER: 64 hex digits."""
        return Secret(self.seed.derive("registry", "push").hex().encode())


def deploy_key(seed: RootSeed, plex: str) -> SshKey:
    """What Flux in `plex` reads its git repository with."""
    return derived_key(seed, ("ssh", "deploy", plex), f"flux-{plex}-{seed.lab_id}")


def _key(seed: RootSeed, *path: str) -> EllipticCurvePrivateKey:
    return private_key(seed.derive("lab-pki", *path, length=48))
