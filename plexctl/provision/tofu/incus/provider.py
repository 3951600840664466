"""The provider lxc/incus: the objects of a plex on Incus hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from plexctl.clients.tofu import Tofu
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec
from plexctl.model.observed import HostState
from plexctl.model.resources import Key
from plexctl.plan.boot.files import LAST
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.change import Action, Change
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.seeds import has_seed, seed_key
from plexctl.provision.tofu.incus import addresses
from plexctl.provision.tofu.incus.tfvars import boot_file, incus_tfvars
from plexctl.provision.tofu.provider import ImportBlock, ProviderTraits
from plexctl.provision.tofu.tags import Tags

HAS_ALL_FILES = ("test", "-f", LAST.path)
"""Succeeds on a node that has unpacked all of its files."""

PROBE_SECONDS = 120
"""A node whose probe fails is replaced, so the probe gets much time."""


@dataclass(frozen=True, slots=True)
class IncusProvider:
    """The provider for one plex."""

    traits: ClassVar[ProviderTraits] = ProviderTraits(
        "incus_instance", "image", ("created", "started", "pushed"), plan_reads_boot=False
    )

    plex: str
    hosts: Mapping[str, HostSpec]
    config_dir: Path | None  # certificates for servers over HTTPS; None: no host needs any
    direct: DirectEngine = field(repr=False)

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        return addresses.addresses(resources)

    def address(self, instance: Instance) -> str:
        return addresses.address(instance)

    def replace_triggers(self, instance: Instance) -> tuple[str, ...]:
        return addresses.replace_triggers(instance)

    def tfvars(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        hosts = {name: host for name, host in self.hosts.items() if name in states}
        return incus_tfvars(self.plex, wanted, hosts, tags, boot=boot, config_dir=self.config_dir)

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        return ((boot_file(one, boot), one.boot) for one in instances)

    def import_blocks(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[ImportBlock]:
        return [
            block
            for resource in there
            for block in addresses.import_blocks(resource, known, states[resource.host])
        ]

    def incomplete(
        self, instances: Sequence[Instance], changes: Sequence[Change]
    ) -> frozenset[Key]:
        """Containers without their files: the provider writes them after the start.

        A VM has its seed beforehand.
        """
        suspects = [one for one in instances if not has_seed(one)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            complete = pool.map(self._has_all_files, suspects)
            found = zip(suspects, complete, strict=True)
            return frozenset(one.key for one, healthy in found if not healthy)

    def obstacles(
        self, instances: Sequence[Instance], states: Mapping[str, HostState], known: frozenset[str]
    ) -> Iterator[Change]:
        """Old seeds. The provider cannot tag them, so nothing else shows that they are old."""
        for one in instances:
            seed = seed_key(one)
            if seed is None or addresses.seed_address(one) in known:
                continue
            if states[one.host].find(seed):
                yield Change(Action.DELETE, seed, "its VM is replaced", None)

    @contextmanager
    def connected(self, tofu: Tofu) -> Iterator[Tofu]:
        yield tofu

    def _has_all_files(self, instance: Instance) -> bool:
        host = self.direct.hosts[instance.host]
        try:
            return host.execute(instance.name, HAS_ALL_FILES, timeout=PROBE_SECONDS).code == 0
        except PlexError:
            return False
