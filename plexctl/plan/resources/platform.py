"""Differences between the kinds of hosts. No other module of `plan` distinguishes kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import HostKind
from plexctl.model.plex import API_PORT, Node, Plex, Role
from plexctl.model.resources import Key
from plexctl.model.types import Form, NodeType
from plexctl.plan.boot.cloudinit import meta_data, network_config, user_data
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.network.links import Site
from plexctl.plan.resources.incus import machine, machine_profile
from plexctl.plan.resources.profile import shared_disk
from plexctl.plan.resources.proxmox import proxmox_machine
from plexctl.plan.resources.types import Instance, Owner, Profile

WORKER_SHARE = 20
"""Percent of a processor that a worker is guaranteed under load. The rest is left to the master,
whose API all nodes wait for. On an idle host a worker may use every processor."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A node of a plex, with everything that its instance depends on."""

    plex: Plex
    node: Node
    site: Site
    owner: Owner
    facts: HostFacts  # of the node's kernel
    image: str
    boot: bytes
    parent: Key | None  # key of the first master; None: this is no worker


class Platform(Protocol):
    """A kind of host: how its nodes become resources."""

    def profile(
        self, owner: Owner, site: Site, node_type: NodeType, facts: HostFacts
    ) -> Profile | None:
        """The profile that nodes of one type share; None where hosts have no profiles."""

    def boot(self, plex: Plex, node: Node, tar: bytes) -> bytes:
        """The boot files of `node`, for the creation of its instance: a tar, or a disk with it."""

    def instance(self, placement: Placement) -> Instance:
        """The instance of a node."""


def platform_of(kind: HostKind) -> Platform:
    match kind:
        case HostKind.INCUS:
            return _Incus()
        case HostKind.PROXMOX:
            return _Proxmox()


class _Incus:
    """Nodes on Incus hosts: containers with their files pushed, VMs with a seed volume."""

    def profile(self, owner: Owner, site: Site, node_type: NodeType, facts: HostFacts) -> Profile:
        return machine_profile(owner, site, node_type, facts)

    def boot(self, plex: Plex, node: Node, tar: bytes) -> bytes:
        if node.type.base.form is not Form.VM:
            return tar
        return seed_iso(tar, user_data(), network_config(plex, node), meta_data(node.name))

    def instance(self, placement: Placement) -> Instance:
        node, site, facts = placement.node, placement.site, placement.facts
        host = site.host
        return machine(
            node.name,
            self.profile(placement.owner, site, node.type, facts),
            node.type,
            size=node.size,
            share=100 if node.role is Role.MASTER else WORKER_SHARE,
            mac=node.mac,
            image=placement.image,
            pool=host.pool,
            facts=facts,
            boot=placement.boot,
            parent=placement.parent,
            disks={
                **_api_forward(placement.plex, node, site),
                **_shared(node, placement.image, host.pool),
            },
            pci={name: host.pci[name] for name in node.type.pci},
        )


class _Proxmox:
    """Nodes on Proxmox hosts. A VM's seed is generated from its spec during the upload."""

    def profile(self, owner: Owner, site: Site, node_type: NodeType, facts: HostFacts) -> None:
        return None

    def boot(self, plex: Plex, node: Node, tar: bytes) -> bytes:
        return tar

    def instance(self, placement: Placement) -> Instance:
        return proxmox_machine(
            placement.plex,
            placement.node,
            placement.site,
            placement.owner,
            image=placement.image,
            boot=placement.boot,
            parent=placement.parent,
        )


def _api_forward(plex: Plex, node: Node, site: Site) -> dict[str, dict[str, str]]:
    """The device that forwards a port of the master's host to its API, if the plex has one.

    It ends with its master. So with several the network of the plex does it, where it can.
    """
    if plex.api_forward is None or node.index > 1 or (site.network and site.network.forward):
        return {}
    # With several masters, from the first one to whichever has the endpoint.
    to = "127.0.0.1" if plex.masters == 1 else str(plex.networks.endpoint)
    forward = {
        "listen": f"tcp:0.0.0.0:{plex.api_forward.port}",
        "connect": f"tcp:{to}:{API_PORT}",
    }
    return {"api": {"type": "proxy", **forward}}


def _shared(node: Node, image: str, pool: str) -> dict[str, dict[str, str]]:
    return {"shared": shared_disk(image, pool)} if node.type.shares else {}
