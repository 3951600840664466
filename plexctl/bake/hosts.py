"""The image builder of each kind of host. Besides it, only `place` distinguishes kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plexctl.bake.builder import BakeSetup, ImageBuilder
from plexctl.bake.copy import CopyBuilder
from plexctl.bake.incus import IncusBuilder
from plexctl.bake.place import container_baking_host
from plexctl.bake.proxmox import BakeAddress, ProxmoxBuilder
from plexctl.clients.hosts import incus_hosts
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.model.host import Host


def image_builder(
    hosts: Mapping[str, Host], name: str, setup: BakeSetup, bake_address: Callable[[], BakeAddress]
) -> ImageBuilder:
    """The builder of images for the host `name`. `bake_address` is called only to bake a VM."""

    def containers() -> IncusBuilder:
        specs = {host.name: host.spec for host in hosts.values()}
        return IncusBuilder(incus[container_baking_host(specs, specs[name])], setup)

    host, incus = hosts[name], incus_hosts(hosts)
    if isinstance(host, ProxmoxHost):
        return ProxmoxBuilder(host, setup, bake_address, containers)
    local = containers()
    return local if local.incus is host else CopyBuilder(local, incus[name], setup)
