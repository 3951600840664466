"""The provider bpg/proxmox: the VMs of a plex on the nodes of one Proxmox cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from plexctl.clients.hosts import proxmox_hosts
from plexctl.clients.tofu import Tofu
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec
from plexctl.model.observed import HostState
from plexctl.model.resources import Key
from plexctl.model.secret import Secret
from plexctl.plan.resources.proxmox import seed_of
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, Change
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.tofu.provider import ImportBlock, ProviderTraits
from plexctl.provision.tofu.proxmox import addresses
from plexctl.provision.tofu.proxmox.tfvars import proxmox_tfvars, seed_file
from plexctl.provision.tofu.tags import Tags

NOWHERE = "/nonexistent"


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Address and credentials with which the provider calls the cluster."""

    certificate: Path  # the server's, in PEM: the provider trusts nothing else
    secret: Callable[[], Secret]  # of the API token


@dataclass(frozen=True, slots=True)
class ProxmoxProvider:
    """The provider for one plex. Its resources are instances: VMs, each with a seed."""

    traits: ClassVar[ProviderTraits] = ProviderTraits(
        addresses.NODE_TYPE,
        "template",
        ("created", "pushed", "started", "agent"),
        plan_reads_boot=True,
    )

    plex: str
    hosts: Mapping[str, HostSpec]
    access: ClusterAccess
    direct: DirectEngine = field(repr=False)

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        return addresses.addresses(_vms(resources))

    def address(self, instance: Instance) -> str:
        return addresses.address(instance)

    def replace_triggers(self, instance: Instance) -> tuple[str, ...]:
        return addresses.replace_triggers(instance)

    def tfvars(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        vms = tuple(_vms(wanted))
        used = {vm.host for vm in vms}
        hosts = {name: host for name, host in self.hosts.items() if name in used}
        return proxmox_tfvars(self.plex, vms, hosts, tags, states, seeds=boot)

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        return ((seed_file(vm, boot), seed_of(vm)) for vm in instances)

    def import_blocks(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[ImportBlock]:
        unknown = [
            vm
            for vm in _vms(there)
            if not {addresses.address(vm), addresses.seed_address(vm)} <= known
        ]
        found: list[ImportBlock] = []
        for name in sorted({vm.host for vm in unknown}):
            found += self._blocks_of_host(name, [vm for vm in unknown if vm.host == name], known)
        return found

    def incomplete(
        self, instances: Sequence[Instance], changes: Sequence[Change]
    ) -> frozenset[Key]:
        """VMs that do not run: the provider starts them last, so they may lack anything."""
        starting = {c.key for c in changes if c.action is Action.START}
        return frozenset(vm.key for vm in instances) & starting

    def obstacles(
        self, instances: Sequence[Instance], states: Mapping[str, HostState], known: frozenset[str]
    ) -> Iterator[Change]:
        """None: the provider overwrites a seed that exists."""
        return iter(())

    @contextmanager
    def connected(self, tofu: Tofu) -> Iterator[Tofu]:
        """The token's secret is in a file without a name, which only OpenTofu inherits."""
        file = os.memfd_create("plexctl")
        try:
            os.write(file, self.access.secret().reveal())
            environment = {
                "SSL_CERT_FILE": str(self.access.certificate),
                "SSL_CERT_DIR": NOWHERE,
                "TF_VAR_token_file": f"/proc/self/fd/{file}",
            }
            yield replace(tofu, files=(file,), environment=environment)
        finally:
            os.close(file)

    def _blocks_of_host(
        self, name: str, vms: Sequence[Instance], known: frozenset[str]
    ) -> Iterator[ImportBlock]:
        server, host = proxmox_hosts(self.direct.hosts)[name], self.hosts[name]
        numbers = {guest.name: guest.vmid for guest in server.guests.list() if guest.ours}
        volumes = server.storage.volumes()
        for vm in vms:
            if vm.name not in numbers:
                raise PlexError(
                    f"{vm.name} on host {name} was deleted while plexctl worked on it",
                    hint="run the command again",
                )
            yield from addresses.import_blocks(vm, host, known, numbers[vm.name], volumes)


def _vms(resources: Iterable[Resource]) -> Iterator[Instance]:
    return (one for one in resources if isinstance(one, Instance))
