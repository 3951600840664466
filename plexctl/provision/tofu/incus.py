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
from plexctl.model.hosts import HostSpec
from plexctl.model.observed import HostState
from plexctl.plan.boot.files import LAST
from plexctl.plan.resources.machines import seed_volume
from plexctl.plan.resources.types import Instance, Resource
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import Action, Change
from plexctl.provision.tofu import tfvars
from plexctl.provision.tofu.provider import ProviderTraits, Tags

BOOTED = ("test", "-f", LAST.path)
"""Ends well on a node that has all its files."""


@dataclass(frozen=True, slots=True)
class IncusProvider:
    """Of one plex."""

    kind: ClassVar[ProviderTraits] = ProviderTraits(
        "incus_instance", "image", ("created", "started", "pushed"), keeps_boot=False
    )

    plex: str
    hosts: Mapping[str, HostSpec]
    config_dir: Path | None  # what is shown to servers over HTTPS; None: no host needs it
    direct: DirectEngine = field(repr=False)

    def addresses(self, resources: Iterable[Resource]) -> frozenset[str]:
        return tfvars.addresses(resources)

    def address(self, instance: Instance) -> str:
        return tfvars.address(instance)

    def triggers(self, instance: Instance) -> tuple[str, ...]:
        return tfvars.triggers(instance)

    def variables(
        self, wanted: Sequence[Resource], states: Mapping[str, HostState], tags: Tags, boot: Path
    ) -> dict[str, Any]:
        hosts = {name: host for name, host in self.hosts.items() if name in states}
        return tfvars.tfvars(self.plex, wanted, hosts, tags, boot=boot, config_dir=self.config_dir)

    def boot_files(self, instances: Iterable[Instance], boot: Path) -> Iterator[tuple[Path, bytes]]:
        return ((tfvars.boot_file(one, boot), one.boot) for one in instances)

    def imports(
        self, there: Sequence[Resource], states: Mapping[str, HostState], known: frozenset[str]
    ) -> list[dict[str, str]]:
        return [block for r in there for block in tfvars.imports(r, known, states[r.host])]

    def half_made(self, instances: Sequence[Instance], changes: Sequence[Change]) -> frozenset[str]:
        """The provider starts a node and gives it its files then; a VM has a seed beforehand."""
        suspects = [one for one in instances if not tfvars.has_seed(one)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            booted = pool.map(self._booted, suspects)
            return frozenset(
                o.key for o, healthy in zip(suspects, booted, strict=True) if not healthy
            )

    def _booted(self, instance: Instance) -> bool:
        incus = self.direct.hosts[instance.host]
        try:  # with much time: what is wrong here is a node that is made anew
            return incus.execute(instance.name, BOOTED, timeout=120).code == 0
        except PlexError:
            return False

    def left_behind(
        self,
        instances: Sequence[Instance],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> Iterator[Change]:
        """Seeds: the provider cannot tag them, so nothing else says that they are old."""
        for one in instances:
            if not tfvars.has_seed(one) or tfvars.seed_address(one) in known:
                continue
            name = seed_volume(one.name)
            if name in states[one.host].volumes:
                reason = "its VM is made anew"
                yield Change(Action.DELETE, one.host, "volume", name, reason, None)

    @contextmanager
    def given(self, tofu: Tofu) -> Iterator[Tofu]:
        yield tofu
