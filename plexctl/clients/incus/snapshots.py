"""Snapshots of the instances of an Incus server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.observed import tags_of
from plexctl.errors import PlexError
from plexctl.model.snapshots import ObservedSnapshot, SnapshotName, Storage

COPYING = 1800.0
"""Seconds for a call that copies all files where storage has no copy-on-write."""


class IncusSnapshots:
    """Snapshots (see `model.snapshots.Snapshots`)."""

    def __init__(self, connection: IncusConnection, instances: IncusInstances) -> None:
        self._connection = connection
        self._instances = instances

    def storage(self) -> Storage:
        pool = self._connection.spec.pool
        with self._connection.failing_as("the storage pool cannot be read"):
            found = self._connection.api["storage-pools"][pool].get().json()["metadata"]
        return Storage(pool, str(found["driver"]))

    def list(self, instance: str) -> tuple[ObservedSnapshot, ...]:
        answer: list[Mapping[str, Any]] = []
        with self._connection.failing_as(
            f"the snapshots of {instance} cannot be read", gone_is_fine=True
        ):
            node = self._connection.api.instances[instance].snapshots
            answer = node.get(params={"recursion": 1}).json()["metadata"]
        found = (observed_snapshot(instance, one) for one in answer)
        return tuple(sorted(filter(None, found), key=lambda one: one.created))

    def freeze(self, instance: str) -> None:
        self._change(instance, "freeze", "frozen")

    def thaw(self, instance: str) -> None:
        try:
            self._change(instance, "unfreeze", "thawed")
        except PlexError as error:
            if "already running" not in str(error):  # it is not frozen (any more)
                raise

    def _change(self, instance: str, action: str, done: str) -> None:
        with self._connection.failing_as(f"instance {instance} cannot be {done}"):
            self._instances.change_state(instance, action)

    def create(self, instance: str, snapshot: str) -> None:
        with self._connection.failing_as(f"snapshot {snapshot} of {instance} cannot be created"):
            node = self._connection.api.instances[instance].snapshots
            created = node.post(json={"name": snapshot, "stateful": False})
            self._connection.finish(created, COPYING)

    def restore(self, instance: str, snapshot: str) -> None:
        with self._connection.failing_as(f"snapshot {snapshot} of {instance} cannot be restored"):
            restored = self._connection.api.instances[instance].put(json={"restore": snapshot})
            self._connection.finish(restored, COPYING)

    def delete(self, instance: str, snapshot: str) -> None:
        with self._connection.failing_as(
            f"snapshot {snapshot} of {instance} cannot be deleted", gone_is_fine=True
        ):
            node = self._connection.api.instances[instance].snapshots[snapshot]
            self._connection.finish(node.delete(), COPYING)


def observed_snapshot(instance: str, found: Mapping[str, Any]) -> ObservedSnapshot | None:
    """A snapshot as the server describes it; None if plexctl has not created it."""
    name = SnapshotName.parse(str(found["name"]).rpartition("/")[2])
    if name is None:
        return None
    size = int(found.get("size") or -1)
    return ObservedSnapshot(
        instance,
        name,
        _time(str(found["created_at"])),
        size if size > 0 else None,
        tags_of(found["config"] or {}),
    )


def _time(text: str) -> datetime:
    """A time of the server, which has nanoseconds: "2026-11-30T09:00:00.123456789Z"."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
