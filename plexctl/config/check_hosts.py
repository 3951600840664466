"""Whether hosts have what is needed of them: for themselves, and for the plexes on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from plexctl.config.draft import Draft, Drafts
from plexctl.config.faults import did_you_mean
from plexctl.config.fields import BaseFields, PlexFields
from plexctl.config.host_fields import HostFields
from plexctl.config.source import Where
from plexctl.model.kinds import HostKind, ProvisionEngine
from plexctl.model.plex import Link, Spread
from plexctl.model.types import BaseSource, Form

MOST_HOSTS = 9
"""Of one plex: each has an address below that of the first node."""

LONGEST_SPREAD = 8
"""Characters in the name of a plex on several hosts: interfaces have names made of it."""


def check_hosts(drafts: Drafts) -> None:
    """Report to hosts.yaml what its hosts lack."""
    source = drafts.hosts.source
    servers: dict[str, str] = {}
    for name, host in _hosts(drafts).items():
        if not source.sound("hosts", name):
            continue
        field = "url" if host.url else "socket"
        server = f"{host.url or host.socket} {host.proxmox.node or name if host.proxmox else ''}"
        if server in servers:
            source.report(
                ("hosts", name, field),
                f"is the same server as host {servers[server]}",
                "name each server once; `pool` is the same for all its nodes",
            )
        servers.setdefault(server, name)
        for lacking, message, hint in _lacking(host):
            source.report(("hosts", name, lacking), message, hint)


def _lacking(host: HostFields) -> Iterator[tuple[str, str, str]]:
    written = "take the host out: `plexctl host add` then writes all of it"
    if host.url and not host.certificate:
        yield "certificate", "is missing: it says which server is the right one", written
    if host.kind is HostKind.PROXMOX:
        if not host.url:
            yield "url", "is missing", "as in https://10.0.0.7:8006"
        if not host.proxmox:
            yield "proxmox", "is missing", "as in {token: plexctl@pve!lab}"
        return
    if host.proxmox:
        yield "proxmox", "is for `kind: proxmox`", "leave it out"
    if host.url and not host.facts:
        yield "facts", "are missing", written


def check_bases(drafts: Drafts) -> None:
    """Report what bases lack of what their source needs."""
    for draft in drafts.bases:
        for name, base in (draft.fields or {}).items():
            for field, message, hint in _unfit(base):
                draft.source.report((name, field), message, hint)


def _unfit(base: BaseFields) -> Iterator[tuple[str, str, str]]:
    if base.source is BaseSource.IMAGES and base.image is None:
        yield "image", "is missing", "as in `image: debian/12`"
    if base.source is BaseSource.CLOUD:
        if base.url is None:
            yield "url", "is missing", "of a disk image in qcow2 with cloud-init"
        if base.checksum is None:
            yield "checksum", "is missing", "as in sha512:…, from the image's own list"
        if base.form is not Form.VM:
            yield "form", "must be vm: it is a disk that is booted", "write `form: vm`"
    if base.source is BaseSource.DEBOOTSTRAP and base.form is Form.VM:
        yield "source", "makes no disk that a VM could boot", "take `cloud` or `images`"


def check_placement(drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields) -> None:
    """Report what the hosts of a plex lack to carry it."""
    source, known = draft.source, _hosts(drafts)
    if fields.host and fields.hosts:
        source.report(("hosts",), "goes with no `host`", "name them all in `hosts`")
    for place, name in enumerate(fields.hosts):
        if name not in declared(drafts) and drafts.hosts.source.parsed:
            hint = did_you_mean(name, declared(drafts))
            source.report(("hosts", place), f"there is no host {name}", hint)
    members = {name: known[name] for name in hosts_of(fields, known) if name in known}
    _spread(draft, fields, members)
    _types(drafts, draft, fields, known)
    if fields.engine is ProvisionEngine.TOFU:
        _one_root(draft, members)
    if fields.networks.link is Link.BRIDGE:
        _bridged(draft, fields, members)
        return
    for field, value in (("router", fields.networks.router), ("vlan", fields.networks.vlan)):
        if value is not None:
            source.report(("networks", field), "goes with `link: bridge`", "leave it out")
    for name, host in members.items():
        if host.kind is HostKind.PROXMOX:
            source.report(
                ("networks", "link"),
                f"host {name} is a Proxmox host, where plexctl makes no bridges",
                "write `link: bridge`, and name its `bridge` in clusters/hosts.yaml",
            )
    if len(members) > 1:
        _joined(draft, members)
    elif all(host.url for host in members.values()):
        _addressed(draft, members)


def _spread(draft: Draft[PlexFields], fields: PlexFields, members: dict[str, HostFields]) -> None:
    if fields.spread is Spread.CAPACITY:
        for name in fields.hosts:
            if name in members and members[name].facts is None:
                draft.source.report(
                    ("spread",),
                    f"the memory of host {name} is not known",
                    f"give {name} its `facts` in clusters/hosts.yaml, as in "
                    "`facts: {cgroup: 2, cpus: 8, memory: 64GiB}`",
                )
    if len(members) > MOST_HOSTS:
        draft.source.report(("hosts",), f"a plex has at most {MOST_HOSTS} hosts", "name fewer")


def _joined(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    name = draft.source.file.parent.name
    if len(name) > LONGEST_SPREAD:
        draft.source.report(
            (),
            f"'{name}' is too long for a plex on several hosts",
            f"{LONGEST_SPREAD} characters at most: names of interfaces are made of it",
        )
    _addressed(draft, members)


def _addressed(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    for host, fields in members.items():
        if address_of(fields) is None:
            draft.source.report(
                ("hosts",),
                f"it is not known how other machines reach {host}",
                f"give {host} its `address` in clusters/hosts.yaml",
            )


def _bridged(draft: Draft[PlexFields], fields: PlexFields, members: dict[str, HostFields]) -> None:
    if fields.networks.router is None:
        draft.source.report(
            ("networks", "router"), "is missing", "the address that leads out of the bridge"
        )
    if fields.networks.nodes is None:
        draft.source.report(
            ("networks", "nodes"), "is missing", "the network that the bridge leads to"
        )
    for name, host in members.items():
        if host.bridge is None:
            draft.source.report(
                ("networks", "link"), f"host {name} names no bridge", "give it `bridge`"
            )


def _types(
    drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields, known: dict[str, HostFields]
) -> None:
    """Report types that a host of theirs cannot have."""
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
                        f"type {type_name} needs the PCI device {device}, and {host} has none",
                        f"name it in `pci` of {host} in clusters/hosts.yaml",
                    )


def _no_container(
    fields: PlexFields, host: HostFields, name: str, devices: bool
) -> Iterator[tuple[str, str]]:
    """Why a Proxmox host cannot have containers for nodes: its API takes no files."""
    if host.ssh is None:
        yield (
            f"is a container, and plexctl cannot log in to {name} to give it its files",
            f"give {name} `ssh` in clusters/hosts.yaml, as in root@10.0.0.7, or take a type whose "
            "base has `form: vm`, as kubevm",
        )
    if devices:
        yield (
            f"is a container, and on {name} only VMs are handed PCI devices",
            "leave `pci` out, or take a type whose base has `form: vm`",
        )
    if fields.engine is ProvisionEngine.TOFU:
        yield (
            f"is a container, and on {name} OpenTofu makes VMs only",
            "write `engine: direct`, or take a type whose base has `form: vm`, as kubevm",
        )


def _one_root(draft: Draft[PlexFields], members: dict[str, HostFields]) -> None:
    """Report hosts that OpenTofu cannot make a plex on together."""
    if len({host.kind for host in members.values()}) > 1:
        draft.source.report(
            ("engine",),
            "OpenTofu makes no plex on hosts of two kinds",
            "write `engine: direct`, or name hosts of one kind",
        )
        return
    servers = {(h.url, h.proxmox.token) for h in members.values() if h.proxmox}
    if len(servers) > 1:
        draft.source.report(
            ("engine",),
            "OpenTofu asks one Proxmox server, and the hosts name several",
            "give them the same `url` and token if they are of one cluster, or write "
            "`engine: direct`",
        )


def bases_of(drafts: Drafts, form: Form) -> set[str]:
    """Names of the bases of that form."""
    found = {name: base for draft in drafts.bases for name, base in (draft.fields or {}).items()}
    return {name for name, base in found.items() if base.form is form}


def hosts_of(fields: PlexFields, known: Iterable[str]) -> tuple[str, ...]:
    """All hosts that a plex can have nodes on, in the order of its file."""
    first = fields.hosts or ((fields.host,) if fields.host else tuple(known)[:1])
    groups = tuple(group.host for group in fields.groups if group.host)
    return tuple(dict.fromkeys((*first, *groups)))


def address_of(host: HostFields) -> IPv4Address | None:
    """How the other hosts reach it, as far as the file says."""
    if host.address:
        return host.address
    try:
        return IPv4Address(urlsplit(host.url).hostname or "") if host.url else None
    except ValueError:
        return None


def _hosts(drafts: Drafts) -> dict[str, HostFields]:
    return dict(drafts.hosts.fields.hosts) if drafts.hosts.fields else {}


def declared(drafts: Drafts) -> set[str]:
    """All hosts that are named, those with faults too."""
    value = drafts.hosts.source.value
    hosts = value.get("hosts") if isinstance(value, dict) else None
    return set(hosts) if isinstance(hosts, dict) else set()
