"""Nodes that are kept under another name on an Incus server."""

from __future__ import annotations

from plexctl.clients.incus.connection import IncusConnection
from plexctl.clients.incus.instances import IncusInstances
from plexctl.errors import PlexError
from plexctl.model.kept import KEPT, kept_name
from plexctl.model.settings import TAG
from plexctl.plan.resources.profile import NIC

RENAMED = 60.0
"""Seconds for a new name: snapshots are renamed with their instance."""


class IncusKeeper:
    """Keeps nodes and brings them back (see `model.kept.Keeper`)."""

    def __init__(self, connection: IncusConnection, instances: IncusInstances) -> None:
        self._connection = connection
        self._instances = instances

    def keep(self, node: str, run: str) -> None:
        """Two instances of one server cannot have one MAC address: the kept one has no network."""
        try:
            self._instances.stop(node)
        except PlexError as error:
            if "already stopped" not in str(error):
                raise
        with self._connection.failing_as(f"instance {node} cannot be kept"):
            instance = self._connection.api.instances[node]
            change = {"config": {f"{TAG}{KEPT}": run}, "devices": {NIC: {"type": "none"}}}
            self._connection.finish(instance.patch(json=change), RENAMED)
        self._rename(node, kept_name(node))

    def bring_back(self, node: str) -> None:
        self._rename(kept_name(node), node)

    def _rename(self, name: str, new: str) -> None:
        def rename() -> None:
            with self._connection.failing_as(f"instance {name} cannot be renamed"):
                renamed = self._connection.api.instances[name].post(json={"name": new})
                self._connection.finish(renamed, RENAMED)

        self._connection.retry(f"instance {name} can be renamed", rename)
