"""Build the model from the fields of a lab's files, after `check` has found no problems.

A new field of a file is passed on to the model here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from plexctl.config.check import networks_of, newest
from plexctl.config.check_hosts import address_of, hosts_of
from plexctl.config.draft import Draft, Drafts
from plexctl.config.fields import (
    BackupFields,
    BaseFields,
    GitopsFields,
    GroupFields,
    IsolationFields,
    PlexFields,
    TypeFields,
)
from plexctl.config.host_fields import HostFields, RegistryFields
from plexctl.config.shape import T
from plexctl.model.gitops import AppSource, Gitops
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.lab import Lab
from plexctl.model.placement import by_capacity
from plexctl.model.plex import ApiForward, Group, Link, Networks, Plex, Spread
from plexctl.model.registry import Registry
from plexctl.model.schedule import S3Place, Schedule
from plexctl.model.types import Base, BaseSource, Layer, NodeType

AMAZON, REGION = "https://s3.amazonaws.com", "us-east-1"
"""Where a bucket is if the file does not say it."""

FIRST_PORT, PORTS = 20000, 10000
"""The range of ports at which other machines' hosts forward to the APIs of their plexes."""


def build(drafts: Drafts, kubernetes_versions: Sequence[str]) -> Lab:
    """The lab of `drafts`, in which `check` has found no problems."""
    hosts = {name: _host(name, host) for name, host in _fields(drafts.hosts).hosts.items()}
    bases = {
        name: _base(name, base) for draft in drafts.bases for name, base in _fields(draft).items()
    }
    types = {name: _type(name, _fields(draft), bases) for name, draft in drafts.types.items()}
    registry, secrets = _fields(drafts.hosts).registry, _fields(drafts.hosts).secrets
    networks = {name: networks_of(name, _fields(draft)) for name, draft in drafts.plexes.items()}
    plexes = {
        name: _plex(name, draft, hosts, types, networks, kubernetes_versions)
        for name, draft in drafts.plexes.items()
    }
    return Lab(
        drafts.root,
        hosts,
        types,
        plexes,
        _registry(registry) if registry else None,
        secrets.epoch,
    )


def _fields(draft: Draft[T]) -> T:
    assert draft.fields is not None, draft.source.file  # `check` reports a draft without fields
    return draft.fields


def _host(name: str, fields: HostFields) -> HostSpec:
    given = fields.proxmox
    proxmox = None
    if given is not None:
        linked = given.clone == "linked"
        proxmox = Proxmox(given.node or name, given.token, given.iso, linked, given.first_id)
    return HostSpec(
        name,
        fields.kind,
        fields.socket,
        fields.pool,
        fields.parallel,
        url=fields.url.rstrip("/") if fields.url else None,
        certificate=fields.certificate,
        address=address_of(fields),
        bridge=fields.bridge,
        facts=fields.facts.facts() if fields.facts else None,
        ssh=fields.ssh,
        pci=fields.pci,
        proxmox=proxmox,
        project=fields.project,
        this_machine=fields.this_machine,
    )


def _host_order(fields: PlexFields, hosts: Mapping[str, HostSpec]) -> tuple[str, ...]:
    """The hosts in the order in which nodes are distributed to them."""
    if fields.spread is Spread.CAPACITY and fields.hosts:
        memory = {name: facts.memory for name in fields.hosts if (facts := hosts[name].facts)}
        return by_capacity(memory)
    return fields.hosts or (fields.host or next(iter(hosts)),)


def _api_forward(
    fields: PlexFields, hosts: Mapping[str, HostSpec], networks: Networks
) -> ApiForward | None:
    """The port forward to the API, for a plex on other machines: no route leads to its bridges."""
    used = [hosts[name] for name in hosts_of(fields, hosts)]
    own = next((g.host for g in reversed(fields.groups) if 1 in g.nodes and g.host), None)
    first = hosts[own or _host_order(fields, hosts)[0]]
    if networks.link is Link.BRIDGE or any(host.local for host in used):
        return None
    address = first.address
    assert address is not None  # `check_placement` requires it
    return ApiForward(address, fields.api_port or api_port(networks), first.ssh)


def api_port(networks: Networks) -> int:
    """The port of a host that forwards to the API of a plex with these networks."""
    return FIRST_PORT + (int(networks.nodes.network_address) >> 8) % PORTS


def _base(name: str, fields: BaseFields) -> Base:
    from_server = fields.source is BaseSource.IMAGES
    return Base(
        name=name,
        release=fields.release,
        form=fields.form,
        source=fields.source,
        packages=fields.packages,
        mirror=fields.mirror,
        server=fields.server if from_server else None,
        image=fields.image if from_server else None,
        url=fields.url if fields.source is BaseSource.CLOUD else None,
        checksum=fields.checksum if fields.source is BaseSource.CLOUD else None,
    )


def _type(name: str, fields: TypeFields, bases: Mapping[str, Base]) -> NodeType:
    return NodeType(
        name=name,
        role=fields.role,
        base=bases[fields.base],
        layers=tuple(Layer(layer.name, layer.artifacts, layer.engine) for layer in fields.layers),
        kubernetes=fields.kubernetes,
        privileged=fields.privileged,
        size=fields.size.size(),
        pci=fields.pci,
    )


def _plex(
    name: str,
    draft: Draft[PlexFields],
    hosts: Mapping[str, HostSpec],
    types: Mapping[str, NodeType],
    networks: Mapping[str, Networks],
    kubernetes_versions: Sequence[str],
) -> Plex:
    fields = _fields(draft)
    version = newest(kubernetes_versions, fields.kubernetes)
    assert version is not None, draft.source.file
    engine = fields.gitops.engine if fields.gitops else None
    types = {name: node_type.with_engine(engine) for name, node_type in types.items()}
    return Plex(
        name=name,
        file=draft.source.file,
        kubernetes=version,
        host_order=_host_order(fields, hosts),
        type=types[fields.type],
        masters=fields.masters,
        workers=fields.workers,
        networks=networks[name],
        cni=fields.cni,
        domain=fields.domain,
        dns_replicas=fields.dns.replicas or (2 if fields.masters > 1 else 1),
        epoch=fields.epoch,
        groups=tuple(_group(group, types) for group in fields.groups),
        cluster=fields.kubeadm.cluster,
        proxy=fields.kubeadm.proxy,
        durable=fields.durable,
        genesis=fields.genesis,
        engine=fields.engine,
        api_forward=_api_forward(fields, hosts, networks[name]),
        allowed=_allowed(fields, networks),
        backup=_schedule(fields.backup),
        gitops=_gitops(name, draft.source.file.parents[2], fields.gitops),
    )


def _schedule(fields: BackupFields | None) -> Schedule | None:
    if fields is None:
        return None
    if not fields.to.startswith("s3://"):
        return Schedule(fields.every, fields.keep, fields.to)
    bucket, _, prefix = fields.to.removeprefix("s3://").partition("/")
    place = S3Place(
        (fields.endpoint or AMAZON).rstrip("/"),
        fields.region or REGION,
        bucket,
        f"{prefix}/" if prefix else "",
        fields.ca,
    )
    return Schedule(fields.every, fields.keep, place)


def _allowed(
    fields: PlexFields, networks: Mapping[str, Networks]
) -> tuple[IPv4Network, ...] | None:
    """The networks that may connect to a plex, besides its own and its hosts; None: all."""
    if fields.isolation is False:
        return None
    if not isinstance(fields.isolation, IsolationFields):
        return ()
    found: list[IPv4Network] = []
    for one in fields.isolation.allow:
        if isinstance(one, IPv4Network):
            found.append(one)
        else:
            found += (networks[one].nodes, networks[one].pods)
    return tuple(found)


def _registry(fields: RegistryFields) -> Registry:
    upstreams = tuple(sorted(fields.upstreams.items()))
    return Registry(fields.name, fields.network, upstreams, fields.size)


def _gitops(plex: str, root: Path, fields: GitopsFields | None) -> Gitops | None:
    if fields is None:
        return None
    kind, url = fields.source
    source = AppSource(
        kind,
        url,
        branch=fields.branch,
        tag=fields.tag,
        semver=fields.semver,
        known_hosts=root / fields.known_hosts if fields.known_hosts else None,
        user=fields.user or "git",
        ca=root / fields.ca if fields.ca else None,
        verify=root / fields.verify if fields.verify else None,
    )
    return Gitops(fields.engine, source, fields.path or f"clusters/{plex}", fields.interval)


def _group(fields: GroupFields, types: Mapping[str, NodeType]) -> Group:
    return Group(
        nodes=fields.nodes,
        type=types[fields.type] if fields.type else None,
        host=fields.host,
        size=fields.size.size(),
        labels=tuple(sorted(fields.labels.items())),
        taints=fields.taints,
        kubelet=fields.kubelet,
    )
