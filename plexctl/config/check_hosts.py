"""Checks of hosts: their own fields, and what the plexes on them require."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from plexctl.config.draft import Draft, Drafts
from plexctl.config.faults import did_you_mean
from plexctl.config.fields import BaseFields, PlexFields
from plexctl.config.host_fields import HostFields
from plexctl.config.source import Where
from plexctl.config.values.names import PCI_ADDRESS
from plexctl.config.values.networks import is_private, public_fault
from plexctl.model.kinds import HostKind, ProvisionEngine
from plexctl.model.nodes import FIRST_ADDRESS
from plexctl.model.plex import Link, Spread
from plexctl.model.types import BaseSource, Form

MOST_HOSTS = 8
"""Hosts of one plex: each has an address below the one for services and that of the API."""

LONGEST_SPREAD = 8
"""Characters in the name of a plex on several hosts: names of interfaces contain it."""


def check_hosts(drafts: Drafts) -> None:
    """Report fields that hosts in hosts.yaml lack, and servers that are there twice."""
    source = drafts.hosts.source
    servers: dict[str, str] = {}
    for name, host in _hosts(drafts).items():
        if not source.sound("hosts", name):
            continue
        for missing, message, hint in _host_faults(host):
            source.report(("hosts", name, *missing.split(".")), message, hint)
        if host.kind is HostKind.PROXMOX and not host.url:
            continue
        field = "url" if host.url else "socket"
        server = f"{host.url or host.socket} {host.proxmox.node or name if host.proxmox else ''}"
        if server in servers:
            source.report(
                ("hosts", name, field),
                f"is the same server as host {servers[server]}",
                "remove one of the two; a server has one entry for all plexes",
            )
        servers.setdefault(server, name)
    _addresses(drafts)


def _addresses(drafts: Drafts) -> None:
    """Report hosts with the address of another: tunnels between the two would lead nowhere.

    Nodes of one Proxmox cluster have a `url` in common, so that counts for hosts of Incus only.
    """
    source = drafts.hosts.source
    taken: dict[IPv4Address, str] = {}
    hosts = [(n, h) for n, h in _hosts(drafts).items() if source.sound("hosts", n)]
    for name, host in hosts:
        if host.address is None and host.kind is HostKind.INCUS and (own := address_of(host)):
            taken.setdefault(own, name)
    for name, host in hosts:
        if host.address is None:
            continue
        other = taken.setdefault(host.address, name)
        if other != name:
            source.report(
                ("hosts", name, "address"),
                f"{host.address} is the address of host {other}",
                "write the address at which other hosts reach this one",
            )


def _host_faults(host: HostFields) -> Iterator[tuple[str, str, str]]:
    """Field, message and hint of each fault of one host."""
    add = "remove the host, and add it again with `plexctl host add`, which writes this field"
    for device, place in host.pci.items():
        if host.kind is HostKind.INCUS and not re.fullmatch(PCI_ADDRESS, place):
            yield (
                f"pci.{device}",
                f"'{place}' is not the address of a PCI device",
                "write it as `lspci -D` lists it, for example 0000:01:00.0",
            )
    if host.url and not host.certificate:
        yield "certificate", "is required with `url`: it identifies the server", add
    for field, value in (("project", host.project), ("this_machine", host.this_machine)):
        if value and host.kind is HostKind.PROXMOX:
            yield field, "applies to `kind: incus` only", "remove it"
        elif value and not host.url:
            yield (
                field,
                "needs `url`: an Incus socket cannot be confined to a project",
                "let `plexctl host trust` write these fields",
            )
    if host.kind is HostKind.PROXMOX:
        if not host.url:
            yield "url", "is required for a Proxmox host", "for example https://10.0.0.7:8006"
        if not host.proxmox:
            yield (
                "proxmox",
                "is required for a Proxmox host",
                "for example `proxmox: {token: plexctl@pve!lab}`",
            )
        return
    if host.proxmox:
        yield "proxmox", "applies to `kind: proxmox` only", "remove it"
    if host.url and not host.facts and not host.this_machine:
        yield "facts", "is required with `url`", add


def check_bases(drafts: Drafts) -> None:
    """Report fields of bases that are missing, or wrong for their source."""
    for draft in drafts.bases:
        for name, base in (draft.fields or {}).items():
            for field, message, hint in _base_faults(base):
                draft.source.report((name, field), message, hint)


def _base_faults(base: BaseFields) -> Iterator[tuple[str, str, str]]:
    """Field, message and hint of each fault of one base."""
    if base.source is BaseSource.IMAGES and base.image is None:
        yield "image", "is required with `source: images`", "for example `image: debian/12`"
    if base.source is BaseSource.IMAGES and base.server.startswith("http://"):
        yield (
            "server",
            "is not encrypted, and nothing else verifies the root file system",
            "use https://",
        )
    if base.source is BaseSource.CLOUD:
        if base.url is None:
            yield (
                "url",
                "is required with `source: cloud`",
                "use the URL of a qcow2 image with cloud-init",
            )
        if base.checksum is None:
            yield (
                "checksum",
                "is required with `source: cloud`",
                "write sha512:… with the checksum that the publisher of the image lists",
            )
        if base.form is not Form.VM:
            yield (
                "form",
                "must be vm with `source: cloud`, which is a disk to boot",
                "write `form: vm`",
            )
    if base.source is BaseSource.DEBOOTSTRAP and base.form is Form.VM:
        yield (
            "source",
            "cannot be debootstrap with `form: vm`: it creates no bootable disk",
            "use `cloud` or `images`",
        )


def check_placement(drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields) -> None:
    """Report requirements of a plex that its hosts do not meet."""
    source, known = draft.source, _hosts(drafts)
    if fields.host and fields.hosts:
        both = "remove `host`, and list all hosts in `hosts`"
        source.report(("hosts",), "cannot be combined with `host`", both)
    for place, name in enumerate(fields.hosts):
        if name not in declared(drafts) and drafts.hosts.source.parsed:
            hint = did_you_mean(name, declared(drafts))
            source.report(("hosts", place), f"there is no host {name}", hint)
        elif name in fields.hosts[:place]:
            source.report(("hosts", place), f"lists {name} twice", "remove one of them")
    members = {name: known[name] for name in hosts_of(fields, known) if name in known}
    _spread(draft, fields, members)
    _types(drafts, draft, fields, known)
    if fields.engine is ProvisionEngine.TOFU:
        _one_root(draft, members)
        for name, host in members.items():
            if host.project:
                draft.source.report(
                    ("engine",),
                    f"cannot be tofu: the lab is confined to a project on host {name}",
                    "write `engine: direct`",
                )
    if fields.networks.link is Link.BRIDGE:
        _bridged(draft, fields, members)
        return
    nodes = fields.networks.nodes
    if nodes is not None and not is_private(nodes):
        fault = public_fault(nodes)
        source.report(("networks", "nodes"), str(fault), fault.hint)
    for field, value in (("router", fields.networks.router), ("vlan", fields.networks.vlan)):
        if value is not None:
            source.report(("networks", field), "applies to `link: bridge` only", "remove it")
    for name, host in members.items():
        if host.kind is HostKind.PROXMOX:
            source.report(
                ("networks", "link"),
                f"must be bridge: plexctl creates no bridges on the Proxmox host {name}",
                f"write `link: bridge`, and the `bridge` of {name} in clusters/hosts.yaml",
            )
    if len(members) > 1:
        _joined(draft, members)
    elif all(host.url and not host.this_machine for host in members.values()):
        _addressed(draft, members)


def _spread(draft: Draft[PlexFields], fields: PlexFields, members: dict[str, HostFields]) -> None:
    if fields.spread is Spread.CAPACITY:
        for name in fields.hosts:
            if name in members and members[name].facts is None:
                draft.source.report(
                    ("spread",),
                    f"cannot be capacity: the memory of host {name} is not in clusters/hosts.yaml",
                    f"add `facts` to {name}, for example "
                    "`facts: {cgroup: 2, cpus: 8, memory: 64GiB}`",
                )
    if len(members) > MOST_HOSTS:
        draft.source.report(
            ("hosts",), f"has {len(members)} hosts; a plex can have {MOST_HOSTS}", "remove some"
        )


def _joined(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    name = draft.source.file.parent.name
    if len(name) > LONGEST_SPREAD:
        draft.source.report(
            (),
            f"'{name}' is too long as the name of a plex on several hosts",
            f"use at most {LONGEST_SPREAD} characters: names of interfaces contain it",
        )
    _addressed(draft, members)


def _addressed(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    for host, fields in members.items():
        if address_of(fields) is None:
            draft.source.report(
                ("hosts",),
                f"host {host} has no address at which other machines reach it",
                f"add `address` to {host} in clusters/hosts.yaml",
            )


def _bridged(draft: Draft[PlexFields], fields: PlexFields, members: dict[str, HostFields]) -> None:
    if fields.networks.router is None and draft.source.sound("networks", "router"):
        draft.source.report(
            ("networks", "router"),
            "is required with `link: bridge`",
            "write the address of the router in the network of the bridge",
        )
    _router(draft, fields)
    if fields.networks.nodes is None and draft.source.sound("networks", "nodes"):
        draft.source.report(
            ("networks", "nodes"),
            "is required with `link: bridge`",
            "write the network of the bridge",
        )
    for name, host in members.items():
        if host.bridge is None:
            draft.source.report(
                ("networks", "link"),
                f"cannot be bridge: host {name} has no `bridge`",
                f"add `bridge` to {name} in clusters/hosts.yaml, for example `bridge: br0`",
            )


def _router(draft: Draft[PlexFields], fields: PlexFields) -> None:
    """Report a router that the nodes of a plex cannot reach, or whose address one of them has."""
    router, network = fields.networks.router, fields.networks.nodes
    if router is None or network is None or not draft.source.sound("networks"):
        return
    number = int(router) - int(network.network_address)
    node = number - FIRST_ADDRESS
    if router not in network:
        fault = f"{router} is not in the network of the nodes, {network}"
    elif router in (network.network_address, network.broadcast_address):
        fault = f"{router} is the network address or the broadcast address of {network}"
    elif node == 0:
        fault = f"{router} is the address of the plex's API"
    elif 1 <= node <= fields.masters + fields.workers:
        fault = f"{router} is the address of node {node} of the plex"
    else:
        return
    hint = f"write the address of the router, for example {network[1]}"
    draft.source.report(("networks", "router"), fault, hint)


def _types(
    drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields, known: dict[str, HostFields]
) -> None:
    """Report types whose nodes cannot run on a host of the plex."""
    where: list[tuple[Where, str, tuple[str, ...]]] = [((), fields.type, hosts_of(fields, known))]
    for place, group in enumerate(fields.groups):
        hosts = (group.host,) if group.host else hosts_of(fields, known)
        where.append((("groups", place), group.type or fields.type, hosts))
    containers = bases_of(drafts, Form.CONTAINER)
    for at, type_name, hosts in where:
        type_ = drafts.types[type_name].fields if type_name in drafts.types else None
        for host in (name for name in hosts if type_ and name in known):
            assert type_ is not None
            if known[host].kind is HostKind.PROXMOX and type_.base in containers:
                for message, hint in _no_container(fields, known[host], host, bool(type_.pci)):
                    draft.source.report((*at, "type"), f"type {type_name} {message}", hint)
            for device in type_.pci:
                if device not in known[host].pci:
                    draft.source.report(
                        (*at, "type"),
                        f"type {type_name} needs the PCI device {device}, which host {host} lacks",
                        f"add it to `pci` of {host} in clusters/hosts.yaml",
                    )


def _no_container(
    fields: PlexFields, host: HostFields, name: str, devices: bool
) -> Iterator[tuple[str, str]]:
    """Message and hint of each reason why a Proxmox host cannot run nodes as containers.

    Its API cannot write files into containers, so plexctl needs SSH there.
    """
    if host.ssh is None:
        yield (
            f"is a container, and plexctl needs SSH to {name} to write files into containers",
            f"add `ssh` to {name} in clusters/hosts.yaml, for example `ssh: root@10.0.0.7`, or use "
            "a type whose base has `form: vm`, such as kubevm",
        )
    if devices:
        yield (
            f"is a container, and on {name} only VMs can have PCI devices",
            "remove `pci`, or use a base with `form: vm`",
        )
    if fields.engine is ProvisionEngine.TOFU:
        yield (
            f"is a container, and on {name} OpenTofu creates only VMs",
            "write `engine: direct`, or use a type whose base has `form: vm`, such as kubevm",
        )


def _one_root(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    """Report hosts on which OpenTofu cannot create one plex together."""
    if len({host.kind for host in members.values()}) > 1:
        draft.source.report(
            ("engine",),
            "cannot be tofu for a plex on hosts of two kinds",
            "write `engine: direct`, or use hosts of one kind",
        )
        return
    servers = {(h.url, h.proxmox.token) for h in members.values() if h.proxmox}
    if len(servers) > 1:
        draft.source.report(
            ("engine",),
            "cannot be tofu for a plex on several Proxmox servers",
            "write `engine: direct`, or the same `url` and token for all hosts if they are of one "
            "cluster",
        )


def bases_of(drafts: Drafts, form: Form) -> set[str]:
    """The names of the bases with that form."""
    found = {name: base for draft in drafts.bases for name, base in (draft.fields or {}).items()}
    return {name for name, base in found.items() if base.form is form}


def hosts_of(fields: PlexFields, known: Iterable[str]) -> tuple[str, ...]:
    """All hosts of the nodes of a plex, in the order of its file."""
    first = fields.hosts or ((fields.host,) if fields.host else tuple(known)[:1])
    groups = tuple(group.host for group in fields.groups if group.host)
    return tuple(dict.fromkeys((*first, *groups)))


def address_of(host: HostFields) -> IPv4Address | None:
    """The address at which other hosts reach a host, if its file has one."""
    if host.address or host.this_machine:
        return host.address
    try:
        return IPv4Address(urlsplit(host.url).hostname or "") if host.url else None
    except ValueError:
        return None


def _hosts(drafts: Drafts) -> dict[str, HostFields]:
    return dict(drafts.hosts.fields.hosts) if drafts.hosts.fields else {}


def declared(drafts: Drafts) -> set[str]:
    """The names of all hosts, including those with faults."""
    value = drafts.hosts.source.value
    hosts = value.get("hosts") if isinstance(value, dict) else None
    return set(hosts) if isinstance(hosts, dict) else set()
