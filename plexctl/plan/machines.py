"""The resources that a machine needs, whatever it is: its bridge, its profile, itself."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.hosts import VM_FACTS, HostFacts
from plexctl.model.types import Form, NodeType, Size
from plexctl.plan.links import Site, network_name
from plexctl.plan.profile import NIC, container_config, container_devices
from plexctl.plan.resources import Instance, Owner, Profile, devices, settings


def kernel(node_type: NodeType, host: HostFacts) -> HostFacts:
    """What the kernel of such a node lets it do: its host's, or its own."""
    return VM_FACTS if node_type.base.form is Form.VM else host


def machine_profile(owner: Owner, site: Site, node_type: NodeType, facts: HostFacts) -> Profile:
    config = container_config(privileged=node_type.privileged, facts=facts)
    device = container_devices(nic=site.nic, pool=site.host.pool, privileged=node_type.privileged)
    return Profile(
        f"{network_name(owner.plex)}-{node_type.name}",
        site.host.name,
        owner,
        settings(config),
        devices(device),
        needs=(site.network.key,) if site.network else (),
    )


def machine(
    name: str,
    profile: Profile,
    node_type: NodeType,
    *,
    size: Size,
    share: int = 100,
    mac: str,
    image: str,
    pool: str,
    facts: HostFacts,
    boot: bytes,
    parent: str | None = None,
    disks: Mapping[str, Mapping[str, str]] | None = None,
    needs: tuple[str, ...] = (),
) -> Instance:
    """The instance `name` on the profile's host, for its owner.

    `priority` is its share of processors when all are busy (Incus' default is 10); `disks` are
    further ones, and `needs` what they need.
    """
    config: dict[str, str] = {}
    if size.cpu is not None and facts.cgroup == 1:
        # A set of processors, which `limits.cpu` is, kubelet could not hand on to its pods there.
        config["limits.cpu.allowance"] = f"{size.cpu * 100}ms/100ms"
    elif size.cpu is not None:
        config["limits.cpu"] = str(size.cpu)
    if size.memory is not None:
        config["limits.memory"] = str(size.memory)
    else:
        # Of a processor that others want too; with all to itself it may have all of it.
        config["limits.cpu.allowance"] = f"{share}%"
    device = {NIC: {**dict(dict(profile.devices)[NIC]), "hwaddr": mac}, **(disks or {})}
    if size.disk is not None:
        device["root"] = {"type": "disk", "path": "/", "pool": pool, "size": str(size.disk)}
    return Instance(
        name,
        profile.host,
        profile.owner,
        node_type.base.form,
        image,
        profile.name,
        settings(config),
        devices(device),
        boot,
        needs=(profile.key, *needs),
        parent=parent,
    )
