"""Network ACLs of an Incus server: rules for what passes between a network and the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.model.observed import ObservedAcl
from plexctl.model.settings import Settings


class IncusAcls:
    """Network ACLs."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedAcl]:
        found = self._connection.objects("network-acls")
        return {acl.name: acl for acl in map(observed.acl, found)}

    def put(
        self,
        name: str,
        config: Settings,
        *,
        ingress: Sequence[Settings],
        egress: Sequence[Settings],
        exists: bool,
    ) -> None:
        """Create an ACL, or (`exists`) give it these rules. Networks that use it have them at once.

        A rule has the keys of Incus' API.
        """
        body = {
            "config": dict(config),
            "ingress": [dict(rule) for rule in ingress],
            "egress": [dict(rule) for rule in egress],
        }
        done = "changed" if exists else "created"
        with self._connection.failing_as(f"network ACL {name} cannot be {done}"):
            acls = self._connection.api["network-acls"]
            if exists:
                acls[name].put(json=body)
            else:
                acls.post(json={"name": name, **body})

    def delete(self, name: str) -> None:
        """Delete an ACL, which no network may use. One that does not exist is no error."""
        self._connection.delete("network-acls", name)
