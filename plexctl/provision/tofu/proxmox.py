"""The provider bpg/proxmox: the VMs of a plex on the nodes of one Proxmox cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.tofu import Tofu
from plexctl.errors import PlexError
from plexctl.model.hosts import HostSpec
from plexctl.model.observed import HostState
from plexctl.model.secret import Secret
from plexctl.plan.resources.proxmox import seed_of
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import Action, Change
from plexctl.provision.tofu import tfvars_proxmox as tfvars
from plexctl.provision.tofu.provider import ProviderTraits, Tags

NOWHERE = "/nonexistent"


@dataclass(frozen=True, slots=True)
class Server:
    """What the provider needs to speak with the cluster."""

    certificate: Path  # the one that the server shows, in PEM: nothing else is trusted
    secret: Callable[[], Secret]  # of the API token


@dataclass(frozen=True, slots=True)
class ProxmoxProvider:
    """Of one plex. All that is wanted of Proxmox hosts are instances: VMs, each with its seed."""

    kind: ClassVar[ProviderTraits] = ProviderTraits(
        tfvars.KIND, "template", ("created", "pushed", "started", "agent"), keeps_boot=True
    )

    plex: str
    hosts: Mapping[str, HostSpec]
    server: Server
    direct: DirectEngine = field(repr=False)

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        return tfvars.addresses(_vms(resources))

    def address(self, instance: Instance) -> str:
        return tfvars.address(instance)

    def triggers(self, instance: Instance) -> tuple[str, ...]:
        return tfvars.triggers(instance)

    def variables(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        vms = tuple(_vms(wanted))
        used = {vm.host for vm in vms}
        hosts = {name: host for name, host in self.hosts.items() if name in used}
        return tfvars.proxmox_tfvars(self.plex, vms, hosts, tags, states, seeds=boot)

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        return ((tfvars.seed_file(vm, boot), seed_of(vm)) for vm in instances)

    def imports(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[dict[str, str]]:
        strange = [
            vm for vm in _vms(there) if not {tfvars.address(vm), tfvars.seed_address(vm)} <= known
        ]
        found: list[dict[str, str]] = []
        for name in sorted({vm.host for vm in strange}):
            server, host = self.direct.hosts[name], self.hosts[name]
            assert isinstance(server, ProxmoxHost), name
            numbers = {guest.name: guest.vmid for guest in server.guests.list() if guest.ours}
            volumes = server.storage.volumes()
            for vm in strange:
                if vm.host == name:
                    if vm.name not in numbers:
                        raise PlexError(
                            f"{vm.name} on host {name} has gone while it was looked at",
                            hint="run it again",
                        )
                    found += tfvars.imports(vm, host, known, numbers[vm.name], volumes)
        return found

    def half_made(self, instances: Sequence[Instance], changes: Sequence[Change]) -> frozenset[str]:
        """The provider starts a VM last: one that does not run may lack anything."""
        starting = {c.key for c in changes if c.action is Action.START}
        return frozenset(vm.key for vm in instances) & starting

    def left_behind(
        self,
        instances: Sequence[Instance],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> Iterator[Change]:
        """Nothing: a seed that is there is written over."""
        return iter(())

    @contextmanager
    def given(self, tofu: Tofu) -> Iterator[Tofu]:
        """The token's secret is in a file without a name."""
        file = os.memfd_create("plexctl")
        try:
            os.write(file, self.server.secret().reveal())
            environment = {
                "SSL_CERT_FILE": str(self.server.certificate),
                "SSL_CERT_DIR": NOWHERE,
                "TF_VAR_token_file": f"/proc/self/fd/{file}",
            }
            yield replace(tofu, files=(file,), environment=environment)
        finally:
            os.close(file)


def _vms(resources: Iterable[Resource]) -> Iterator[Instance]:
    return (one for one in resources if isinstance(one, Instance))
