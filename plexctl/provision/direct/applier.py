"""Appliers: for each kind of host, a class that applies changes to the objects of one host."""

from __future__ import annotations

from typing import Protocol

from plexctl.clients.incus.host import IncusHost
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.model.host import Host
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Change
from plexctl.provision.direct.incus import IncusApplier
from plexctl.provision.direct.proxmox import ProxmoxApplier
from plexctl.provision.engine import ApplyJob


class Applier(Protocol):
    """Applies changes of one host. Safe to use from several threads."""

    def put(self, change: Change, resource: Resource) -> None:
        """Create, update or start `resource`. Of a replacement, the old object is gone already."""

    def create(self, change: Change, instance: Instance) -> None:
        """Create `instance` with its files. It has not been started then."""

    def start(self, instance: Instance) -> None:
        """Start `instance` once its gate is open."""

    def delete(self, change: Change) -> None:
        """Delete the object of `change`."""


def applier_of(host: Host, job: ApplyJob) -> Applier:
    """The applier of the host's kind. Nothing else in `provision` asks for the kind of a host."""
    match host:
        case IncusHost():
            return IncusApplier(host, job)
        case ProxmoxHost():
            return ProxmoxApplier(host, job)
    raise TypeError(f"host {host.name} is of a kind without an applier")
