"""Instances of an Incus server: containers and VMs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plexctl.clients.incus import observed
from plexctl.clients.incus.connection import IncusConnection
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation
from plexctl.model.observed import FROZEN, ObservedInstance
from plexctl.model.settings import Devices, Settings, plain_devices
from plexctl.model.types import Form

LOST = "forkfile.sock: connect: no such file"
"""In the error of a server whose socket to an instance's files is gone."""

STARTS = 90.0
"""Seconds in which a server must accept a start: one that has itself just started is starting the
instances that ran before, and tries again after a minute to start a network that it could not."""

SETTLE = 120.0
"""Seconds that a server has to finish the operations of an interrupted run."""


def instance_type(form: Form) -> str:
    """The server's name for a form."""
    return "container" if form is Form.CONTAINER else "virtual-machine"


class IncusInstances:
    """Containers and VMs."""

    def __init__(self, connection: IncusConnection) -> None:
        self._connection = connection

    def list(self) -> Mapping[str, ObservedInstance]:
        return {i.name: i for i in map(observed.instance, self._connection.objects("instances"))}

    def of_all_projects(self) -> tuple[ObservedInstance, ...]:
        """Instances of every project; of the only one whose instances this client may see."""
        found = self._connection.objects("instances", all_projects=True)
        return tuple(map(observed.instance, found))

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
        """Create a stopped instance of the image with the fingerprint `image`."""
        body = {
            "name": name,
            "type": instance_type(form),
            "source": {"type": "image", "fingerprint": image},
            "profiles": list(profiles),
            "config": dict(config),
            "devices": plain_devices(devices),
        }
        with self._connection.failing_as(f"instance {name} cannot be created"):
            self._connection.finish(self._connection.api.instances.post(json=body), 300)

    def set_image(self, name: str, fingerprint: str, properties: Mapping[str, str]) -> None:
        """Let an instance count as created from another image than the one with `properties`."""
        config = {f"image.{key}": "" for key in properties}
        with self._connection.failing_as(f"the image of {name} cannot be set"):
            instance = self._connection.api.instances[name]
            changed = instance.patch(json={"config": {**config, observed.BASE_IMAGE: fingerprint}})
            self._connection.finish(changed, 60)

    def start(self, name: str) -> None:
        """Start an instance, or resume one that is paused. One that runs already is no error.

        A server that has itself just started also starts the instances that ran before.
        """

        def start() -> None:
            with self._connection.failing_as(f"instance {name} does not start"):
                self.change_state(name, "start")

        try:
            self._connection.retry(f"instance {name} can be started", start, deadline=STARTS)
        except PlexError as error:
            if "already running" not in str(error):
                raise
            with self._connection.failing_as(f"instance {name} cannot be resumed"):
                if self.status(name) == FROZEN:
                    self.change_state(name, "unfreeze")

    def status(self, name: str) -> str:
        """The server's word for the state of an instance: "Running", "Stopped", FROZEN …"""
        found = self._connection.api.instances[name].state.get().json()["metadata"]
        return str(found["status"])

    def stop(self, name: str, *, force: bool = True) -> None:
        """Stop at once, or (`force` false) as systemd does: only once it is up, else it hangs."""
        with self._connection.failing_as(f"instance {name} does not stop"):
            self.change_state(name, "stop", force=force)

    def change_state(self, name: str, action: str, *, force: bool = False) -> None:
        """Let the server "start", "stop", "freeze" or "unfreeze" an instance."""
        body = {"action": action, "timeout": 60, "force": force}
        changed = self._connection.api.instances[name].state.put(json=body)
        self._connection.finish(changed, 65)

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Add tags to an instance, also while it runs."""
        self._connection.retry(
            f"instance {name} can be tagged",
            lambda: self._connection.set_tags(tags, name, "instances"),
        )

    def delete(self, name: str, *, running: bool = True) -> None:
        """Delete an instance, whatever its state. One that does not exist is no error.

        The server finishes what a client that is gone has asked for: this waits for it.
        """
        stop = running

        def delete() -> None:
            nonlocal stop
            if stop:
                with self._connection.failing_as(
                    f"instance {name} does not stop", gone_is_fine=True
                ):
                    self.change_state(name, "stop", force=True)
            stop = True  # it may have been started since it was read
            with self._connection.failing_as(
                f"instance {name} cannot be deleted", gone_is_fine=True
            ):
                self._connection.finish(self._connection.api.instances[name].delete(), 120)

        self._connection.retry(f"instance {name} can be deleted", delete)

    # -- files and programs

    def push(self, name: str, path: str, content: bytes, *, mode: int) -> bool:
        """Write one file into a stopped instance, owned by root. Folders above it must exist.

        Each call mounts the volume: push one tar, not many files. False if the server has lost
        its socket to the instance's files: the helper of an instance that starts meanwhile deletes
        it. A second try fails too; recreate the instance.
        """
        headers = {
            "X-Incus-type": "file",
            "X-Incus-mode": f"{mode:04o}",
            "X-Incus-uid": "0",
            "X-Incus-gid": "0",
            "Content-Type": "application/octet-stream",
        }
        try:
            with self._connection.failing_as(f"{path} cannot be written into {name}"):
                self._connection.api.instances[name].files.post(
                    params={"path": path}, data=content, headers=headers
                )
        except PlexError as error:
            if LOST not in str(error):
                raise
            return False
        return True

    def pull(self, name: str, path: str) -> bytes:
        """The content of one file of an instance."""
        with self._connection.failing_as(f"{path} of {name} cannot be read"):
            files = self._connection.api.instances[name].files
            content: bytes = files.get(params={"path": path}, is_api=False).content
        return content

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program in an instance to its end; the server records its output.

        Recorded output is complete, where pylxd's websockets lose some. `argv` must hold no secret.
        """
        return self._connection.retry(
            f"{argv[0]} can be run on {name}",
            lambda: self._execute(name, argv, timeout),
            deadline=3,
        )

    def _execute(self, name: str, argv: tuple[str, ...], timeout: float) -> CommandResult:
        body = {
            "command": list(argv),
            "record-output": True,
            "interactive": False,
            "wait-for-websocket": False,
        }
        with self._connection.failing_as(f"{argv[0]} cannot be run on {name}"):
            instance = self._connection.api.instances[name]
            done = self._connection.finish(instance.exec.post(json=body), timeout)["metadata"]
            streams = []
            for number in ("1", "2"):
                log = instance.logs["exec-output"][Path(done["output"][number]).name]
                streams.append(log.get(is_api=False).content.decode(errors="replace"))
                log.delete()
        return CommandResult(argv, int(done["return"]), *streams)

    # -- what the server does by itself

    def changing(self) -> frozenset[str]:
        """Instances that the server creates, starts, stops or deletes now, for any client.

        It finishes these operations even when the program that asked is gone.
        """
        return frozenset(
            resource.partition("?")[0].rpartition("/")[2]
            for one in self._connection.under_way()
            if one["class"] == "task" and one["description"] != "Executing command"
            for resource in (one["resources"] or {}).get("instances", ())
        )

    def nodes_settled(self, plex: str) -> Condition:
        """The server is not creating, starting, stopping or deleting a node of `plex`."""

        def probe() -> Observation:
            found = sorted(one for one in self.changing() if one.removeprefix(plex).isdigit())
            return Observation(not found, f"still changing: {', '.join(found)}")

        name = self._connection.spec.name
        what = f"host {name} has finished what the interrupted run started"
        return Condition(what, probe, SETTLE, every=0.05)
