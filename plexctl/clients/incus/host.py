"""The one door to Incus (through pylxd). Every quirk of the server and of the library is here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from plexctl.clients.host_facts import local_facts
from plexctl.clients.incus import observed as seen
from plexctl.clients.incus.images import instance_type
from plexctl.clients.incus.volumes import Volumes
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.hosts import HostFacts
from plexctl.model.observed import (
    HostState,
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
    Tagged,
)
from plexctl.model.settings import Devices, Settings
from plexctl.model.types import Form

PASSING = (
    "Instance is busy",
    "Instance is running",
    "Failed to retrieve PID of executing child process",  # of a program that was not begun
    "bridge children interfaces",  # of a network: an instance with one of any ended just then
)
"""Why a busy server refuses now what it does soon."""

LOST = "forkfile.sock: connect: no such file"
"""Of a server whose socket to an instance's files is gone."""

_Seen = TypeVar("_Seen", bound=Tagged)
_Answer = TypeVar("_Answer")


def load() -> None:
    """Load the library, which the first call does otherwise."""
    importlib.import_module("pylxd")


class IncusHost(Volumes):
    """An Incus server. Safe to use from several threads; every call is bounded in time (seconds).

    PlexError when the server cannot be reached or refuses.
    """

    # -- reading

    def facts(self) -> HostFacts:
        """What the host's kernel lets containers do; known without a call."""
        return self.host.facts or local_facts()

    def read(self) -> HostState:
        """All instances, networks, profiles, images and volumes: one recursive call a kind.

        At once, since the server looks long for whom a network or a volume serves.
        """
        self.connect()
        with ThreadPoolExecutor() as pool:
            instances, networks = pool.submit(self.instances), pool.submit(self.networks)
            profiles, images = pool.submit(self.profiles), pool.submit(self.images)
            return HostState(
                self.host.name,
                instances.result(),
                networks.result(),
                profiles.result(),
                images.result(),
                self.volumes(),
            )

    def instances(self) -> Mapping[str, ObservedInstance]:
        return _by_name(map(seen.instance, self._list("instances")))

    def changing(self) -> frozenset[str]:
        """Instances that the server makes, starts, stops or deletes just now, whoever asked for it.

        It goes on with that when the program that asked is gone.
        """
        return frozenset(
            resource.partition("?")[0].rpartition("/")[2]
            for one in self._under_way()
            if one["class"] == "task" and one["description"] != "Executing command"
            for resource in (one["resources"] or {}).get("instances", ())
        )

    def networks(self) -> Mapping[str, ObservedNetwork]:
        return _by_name(map(seen.network, self._list("networks")))

    def profiles(self) -> Mapping[str, ObservedProfile]:
        return _by_name(map(seen.profile, self._list("profiles")))

    def images(self) -> tuple[ObservedImage, ...]:
        return tuple(map(seen.image, self._list("images")))

    def volumes(self) -> Mapping[str, ObservedVolume]:
        """Custom volumes of the pool that the host's instances are in."""
        found = self._list("storage-pools", self.host.pool, "volumes", "custom")
        return _by_name(map(seen.volume, found))

    def pool_free(self) -> int:
        """Bytes that are left in the storage pool."""
        with self._speaking("the storage pool cannot be read"):
            space = self._api["storage-pools"][self.host.pool].resources.get().json()["metadata"]
        return int(space["space"]["total"]) - int(space["space"].get("used", 0))

    def pools(self) -> tuple[str, ...]:
        """Names of the storage pools."""
        return tuple(str(pool["name"]) for pool in self._list("storage-pools"))

    def machine(self) -> tuple[int, int]:
        """How many processors and how many bytes of memory the host has."""
        with self._speaking("the resources cannot be read"):
            found = self._api.resources.get().json()["metadata"]
        return int(found["cpu"]["total"]), int(found["memory"]["total"])

    # -- networks and profiles

    def put_network(self, name: str, config: Settings, *, exists: bool) -> None:
        def put() -> None:
            with self._speaking(f"network {name} cannot be made"):
                body = {"config": dict(config)}
                if exists:
                    self._api.networks[name].put(json=body)
                else:
                    self._api.networks.post(json={"name": name, "type": "bridge", **body})

        self._patiently(f"network {name} can be made", put)

    def put_profile(self, name: str, config: Settings, devices: Devices, *, exists: bool) -> None:
        with self._speaking(f"profile {name} cannot be made"):
            body = {"config": dict(config), "devices": _plain(devices)}
            if exists:
                self._api.profiles[name].put(json=body)
            else:
                self._api.profiles.post(json={"name": name, **body})

    def delete_network(self, name: str) -> None:
        self._patiently(f"network {name} can be deleted", lambda: self._delete("networks", name))

    def delete_profile(self, name: str) -> None:
        self._delete("profiles", name)

    # -- instances

    def create(
        self,
        name: str,
        *,
        image: str,
        form: Form,
        profiles: tuple[str, ...],
        config: Settings,
        devices: Devices,
    ) -> None:
        """Make a stopped instance from the image with the fingerprint `image`."""
        body = {
            "name": name,
            "type": instance_type(form),
            "source": {"type": "image", "fingerprint": image},
            "profiles": list(profiles),
            "config": dict(config),
            "devices": _plain(devices),
        }
        with self._speaking(f"instance {name} cannot be made"):
            self._finish(self._api.instances.post(json=body), 300)

    def start(self, name: str) -> None:
        with self._speaking(f"instance {name} does not start"):
            self._state(name, "start", timeout=60)

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop at once, or (`force` false) as systemd does: only once it is up, else it hangs."""
        with self._speaking(f"instance {name} does not stop"):
            self._state(name, "stop", timeout=60, force=force)

    def delete_instance(self, name: str, *, running: bool = True) -> None:
        """Remove an instance, whatever its state. One that is gone already is no error.

        The server goes on with what a client has asked for that is gone by now: it is waited for.
        """

        stop = running

        def delete() -> None:
            nonlocal stop
            if stop:
                with self._speaking(f"instance {name} does not stop", gone_is_fine=True):
                    self._state(name, "stop", timeout=60, force=True)
            stop = True  # it may have been started since it was looked at
            with self._speaking(f"instance {name} cannot be deleted", gone_is_fine=True):
                self._finish(self._api.instances[name].delete(), 120)

        self._patiently(f"instance {name} can be deleted", delete)

    def push(self, name: str, path: str, content: bytes, *, mode: int) -> bool:
        """Write one file into a stopped instance, owned by root. Folders above it must exist.

        Each call mounts the volume: push one tar, not many files. False if the server has lost
        its way to the instance's files: the helper of an instance that starts meanwhile takes the
        socket of this one's with it. Asked again it fails again; make the instance anew.
        """
        headers = {
            "X-Incus-type": "file",
            "X-Incus-mode": f"{mode:04o}",
            "X-Incus-uid": "0",
            "X-Incus-gid": "0",
            "Content-Type": "application/octet-stream",
        }

        try:
            with self._speaking(f"{path} cannot be written into {name}"):
                self._api.instances[name].files.post(
                    params={"path": path}, data=content, headers=headers
                )
        except PlexError as error:
            if LOST not in str(error):
                raise
            return False
        return True

    def _patiently(
        self, what: str, call: Callable[[], _Answer], *, deadline: float = 300
    ) -> _Answer:
        """What a call gives, made again and again while it is refused for a reason that passes."""
        answers: list[_Answer] = []

        def tried() -> Observation:
            try:
                answers.append(call())
            except PlexError as error:
                if not any(reason in str(error) for reason in PASSING):
                    raise
                return Observation(False, error.summary)
            return Observation(True)

        wait(Condition(what, tried, deadline, every=0.5))
        return answers[-1]

    def pull(self, name: str, path: str) -> bytes:
        """One file of an instance."""
        with self._speaking(f"{path} of {name} cannot be read"):
            content: bytes = (
                self._api.instances[name].files.get(params={"path": path}, is_api=False).content
            )
        return content

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program in an instance to its end, its output recorded by the server.

        Recorded output is complete where pylxd's websockets lose some; no secret may be in `argv`.
        """
        what = f"{argv[0]} can be run on {name}"
        return self._patiently(what, lambda: self._execute(name, argv, timeout), deadline=3)

    def _execute(self, name: str, argv: tuple[str, ...], timeout: float) -> CommandResult:
        body = {
            "command": list(argv),
            "record-output": True,
            "interactive": False,
            "wait-for-websocket": False,
        }
        with self._speaking(f"{argv[0]} cannot be run on {name}"):
            instance = self._api.instances[name]
            done = self._finish(instance.exec.post(json=body), timeout)["metadata"]
            streams = []
            for number in ("1", "2"):
                log = instance.logs["exec-output"][Path(done["output"][number]).name]
                streams.append(log.get(is_api=False).content.decode(errors="replace"))
                log.delete()
        return CommandResult(argv, int(done["return"]), *streams)


def _plain(devices: Devices) -> dict[str, dict[str, str]]:
    return {name: dict(device) for name, device in devices}


def _by_name(found: Iterable[_Seen]) -> dict[str, _Seen]:
    return {one.name: one for one in found}
