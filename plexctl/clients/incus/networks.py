"""Networks and profiles of an Incus server."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.model.observed import ObservedNetwork, ObservedProfile
from plexctl.model.settings import Devices, Settings, plain_devices


class IncusNetworks:
    """Bridges that the server manages."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedNetwork]:
        return {n.name: n for n in map(observed.network, self._connection.objects("networks"))}

    def put(self, name: str, config: Settings, *, exists: bool) -> None:
        """Create a bridge, or (`exists`) give it this configuration."""

        def put() -> None:
            with self._connection.failing_as(f"network {name} cannot be {_past(exists)}"):
                networks, body = self._connection.api.networks, {"config": dict(config)}
                if exists:
                    networks[name].put(json=body)
                else:
                    networks.post(json={"name": name, "type": "bridge", **body})

        self._connection.retry(f"network {name} can be {_past(exists)}", put)

    def delete(self, name: str) -> None:
        """Delete a network. One that does not exist is no error."""
        self._connection.retry(
            f"network {name} can be deleted", lambda: self._connection.delete("networks", name)
        )


class IncusProfiles:
    """Profiles: configuration and devices that instances share."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedProfile]:
        return {p.name: p for p in map(observed.profile, self._connection.objects("profiles"))}

    def put(self, name: str, config: Settings, devices: Devices, *, exists: bool) -> None:
        """Create a profile, or (`exists`) give it this configuration and these devices."""
        with self._connection.failing_as(f"profile {name} cannot be {_past(exists)}"):
            profiles = self._connection.api.profiles
            body = {"config": dict(config), "devices": plain_devices(devices)}
            if exists:
                profiles[name].put(json=body)
            else:
                profiles.post(json={"name": name, **body})

    def delete(self, name: str) -> None:
        """Delete a profile. One that does not exist is no error."""
        self._connection.delete("profiles", name)


def _past(exists: bool) -> str:
    return "changed" if exists else "created"
