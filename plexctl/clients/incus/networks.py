"""Networks and profiles of an Incus server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.errors import PlexError
from plexctl.model.observed import ObservedNetwork, ObservedProfile
from plexctl.model.settings import Devices, Settings, plain_devices

if TYPE_CHECKING:
    from plexctl.plan.resources.types import Forward

DELETION = 2.0
"""Seconds within which a deletion that has begun changes the list of networks."""


class IncusNetworks:
    """Bridges that the server manages."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedNetwork]:
        return {n.name: n for n in map(observed.network, self._connection.objects("networks"))}

    def settle(self, plex: str) -> bool:
        """Wait until no network of `plex` is being deleted; whether any was.

        Incus completes a deletion though its client is gone, and shows no operation meanwhile.
        """
        gone = False
        while before := self._of_plex(plex):
            time.sleep(DELETION)
            if self._of_plex(plex) == before:
                break
            gone = True
        return gone

    def _of_plex(self, plex: str) -> set[str]:
        return {name for name, one in self.list().items() if one.tags.get("plex") == plex}

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

    def put_forward(self, name: str, forward: Forward | None) -> None:
        """Let a port of the host lead into a network; None: no port. Others of it end.

        A server gives each of its addresses to one network only.
        """
        try:
            with self._connection.failing_as(f"no port of the host can lead into network {name}"):
                self._put_forward(name, forward)
        except PlexError as error:
            if "overlaps" not in str(error) or forward is None:
                raise
            raise PlexError(
                error.summary,
                details=(f"another network of the host has a port of {forward.listen}",),
                hint="`incus network list-allocations` shows which. On each host that is another "
                "machine, one plex with several masters can be reached: write `masters: 1`, or "
                "move the plex",
            ) from error

    def _put_forward(self, name: str, forward: Forward | None) -> None:
        forwards = self._connection.api.networks[name].forwards
        there = [one.rpartition("/")[2] for one in forwards.get().json()["metadata"] or ()]
        for listen in there:
            if forward is None or listen != forward.listen:
                forwards[listen].delete()
        if forward is None:
            return
        port = {
            "protocol": "tcp",
            "listen_port": str(forward.port),
            "target_address": forward.to,
            "target_port": str(forward.to_port),
        }
        if forward.listen in there:
            forwards[forward.listen].put(json={"ports": [port]})
        else:
            forwards.post(json={"listen_address": forward.listen, "ports": [port]})

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Add tags to a network."""
        self._connection.set_tags(tags, name, "networks")

    def delete(self, name: str) -> None:
        """Delete a network. One that does not exist is no error.

        The error of a network in use names what uses it.
        """
        try:
            self._connection.retry(
                f"network {name} can be deleted", lambda: self._connection.delete("networks", name)
            )
        except PlexError as error:
            if "in use" not in str(error):
                raise
            raise PlexError(
                error.summary,
                details=(f"used by {one}" for one in self._users(name)),
                hint="remove it from the network, for example `incus config device remove`",
            ) from error

    def _users(self, name: str) -> Iterator[str]:
        """What uses a network: "instance x", "profile y"."""
        with self._connection.failing_as(f"network {name} cannot be read"):
            found = self._connection.api.networks[name].get().json()["metadata"]
        for path in found.get("used_by") or ():
            kind, _, user = path.partition("?")[0].removeprefix("/1.0/").partition("/")
            yield f"{kind.removesuffix('s')} {user}"


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

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Add tags to a profile."""
        self._connection.set_tags(tags, name, "profiles")

    def delete(self, name: str) -> None:
        """Delete a profile. One that does not exist is no error."""
        self._connection.delete("profiles", name)


def _past(exists: bool) -> str:
    return "changed" if exists else "created"
