"""Checks of a lab's files: names exist, networks do not overlap, numbers are in range."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from plexctl.config.check_gitops import check_gitops, check_registry
from plexctl.config.check_hosts import (
    bases_of,
    check_bases,
    check_hosts,
    check_placement,
    declared,
)
from plexctl.config.draft import Draft, Drafts
from plexctl.config.faults import Fault, did_you_mean
from plexctl.config.fields import GroupFields, PlexFields, TypeFields
from plexctl.config.networks import default_networks, each, free_networks
from plexctl.config.shape import T
from plexctl.config.source import Where, YamlFile
from plexctl.config.values import NAME, parse_plex_name
from plexctl.errors import UsageError
from plexctl.model.nodes import capacity
from plexctl.model.plex import Networks
from plexctl.model.types import Form

BASE_LAYER = "base"
"""The name of the image below the layers of all types."""


def check(drafts: Drafts, kubernetes_versions: Sequence[str]) -> None:
    """Report the problems to the sources of `drafts`: within files, and across files."""
    check_hosts(drafts)
    check_bases(drafts)
    for draft in drafts.types.values():
        if draft.fields:
            _type(drafts, draft, draft.fields)
    _names(drafts.types, NAME.parse)
    for name, plex in drafts.plexes.items():
        if plex.fields:
            _plex(drafts, plex, plex.fields, networks_of(name, plex.fields))
            if plex.fields.kubernetes:
                _kubernetes(plex, plex.fields.kubernetes, kubernetes_versions)
            check_placement(drafts, plex, plex.fields)
            check_gitops(drafts, plex)
    check_registry(drafts)
    _overlaps(drafts)
    _names(drafts.plexes, parse_plex_name)


def networks_of(name: str, fields: PlexFields) -> Networks:
    """The networks of the plex `name`: those in its file, and defaults for the others."""
    own, default = fields.networks, default_networks(name)
    return Networks(
        nodes=own.nodes or default.nodes,
        pods=own.pods or default.pods,
        services=own.services or default.services,
        link=own.link,
        router=own.router,
        vlan=own.vlan,
    )


def newest(kubernetes_versions: Sequence[str], wanted: str | None) -> str | None:
    """The newest version that is `wanted`, or a patch release of it; None if there is none."""
    fitting = (
        version
        for version in kubernetes_versions
        if wanted is None or f"{version}.".startswith(f"{wanted}.")
    )
    return max(fitting, key=lambda version: tuple(map(int, version.split("."))), default=None)


def _type(drafts: Drafts, draft: Draft[TypeFields], fields: TypeFields) -> None:
    bases = _base_names(drafts)
    if fields.base not in bases and all(base.source.parsed for base in drafts.bases):
        draft.source.report(
            ("base",), f"there is no base {fields.base}", did_you_mean(fields.base, bases)
        )
    container = fields.base not in bases_of(drafts, Form.VM)
    unprivileged = fields.kubernetes and container and not fields.privileged
    if unprivileged and draft.source.sound("privileged"):
        draft.source.report(
            ("privileged",),
            "must be true: containers that run Kubernetes have to be privileged",
            "write `privileged: true`",
        )
    names = {BASE_LAYER}
    for place, layer in enumerate(fields.layers):
        if layer.name in names:
            taken = "every type has a layer with this name" if layer.name == BASE_LAYER else ""
            draft.source.report(
                ("layers", place, "name"),
                f"'{layer.name}' is used by another layer",
                taken or "choose another name",
            )
        names.add(layer.name)


def _plex(drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields, networks: Networks) -> None:
    source = draft.source
    hosts = declared(drafts)
    members: list[tuple[Where, str | None, str | None]] = [((), fields.host, fields.type)]
    members += [(("groups", i), group.host, group.type) for i, group in enumerate(fields.groups)]
    for where, host, type_ in members:
        if host is not None and host not in hosts and drafts.hosts.source.parsed:
            source.report((*where, "host"), f"there is no host {host}", did_you_mean(host, hosts))
        if type_ is not None and type_ not in drafts.types:
            hint = did_you_mean(type_, drafts.types)
            source.report((*where, "type"), f"there is no type {type_}", hint)
    _master_type(drafts, draft, fields)
    for place, group in enumerate(fields.groups):
        _taints(source, place, group)

    size = 1 + fields.workers
    if not source.sound("workers"):
        return
    for place, group in enumerate(fields.groups):
        if beyond := sorted(number for number in group.nodes if number > size):
            source.report(
                ("groups", place, "nodes"),
                f"there is no node {beyond[0]}: the plex has {size} nodes, including the master",
                "increase `workers`, or remove the number",
            )
    most = capacity(networks)
    if size > most and source.sound("networks"):
        source.report(
            ("workers",),
            f"{size} nodes do not fit into the networks of the plex: room for {most}",
            room_for(size),
        )


def _taints(source: YamlFile, place: int, group: GroupFields) -> None:
    """Report taints that Kubernetes refuses together: its nodes would never register."""
    before = set()
    for at, taint in enumerate(group.taints or ()):
        if (taint.key, taint.effect) in before:
            source.report(
                ("groups", place, "taints", at),
                f"a second taint has the key {taint.key} and the effect {taint.effect}",
                "remove one of them: Kubernetes allows one taint of each key and effect",
            )
        before.add((taint.key, taint.effect))


def _names(drafts: Mapping[str, Draft[T]], parse: Callable[[str], str]) -> None:
    """Report names of files and folders that are not valid for a plex or a type."""
    for name, draft in drafts.items():
        try:
            parse(name)
        except Fault as fault:
            draft.source.report((), str(fault), fault.hint)


def room_for(size: int) -> str:
    """A hint: the prefixes that `size` nodes need."""
    nodes = 32 - (size + 11).bit_length()
    pods = 24 - size.bit_length()
    return f"{size} nodes need a /{nodes} in `networks.nodes` and a /{pods} in `networks.pods`"


def _master_type(drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields) -> None:
    """Report node 1, the master, if its type is not one for Kubernetes."""
    where: Where = ("type",)
    name = fields.type
    masters = [n for n, t in drafts.types.items() if t.fields and t.fields.kubernetes]
    for place, group in enumerate(fields.groups):
        if 1 in group.nodes and group.type:
            where, name = ("groups", place, "type"), group.type
    if name not in drafts.types or name in masters:
        return
    if drafts.types[name].source.sound("kubernetes"):
        draft.source.report(
            where,
            f"node 1 is the master, but nodes of type {name} do not run Kubernetes",
            did_you_mean(name, masters),
        )


def _kubernetes(draft: Draft[PlexFields], wanted: str, versions: Sequence[str]) -> None:
    if newest(versions, wanted) is None:
        draft.source.report(
            ("kubernetes",),
            f"plexctl does not support Kubernetes {wanted}",
            did_you_mean(wanted, versions),
        )


def _overlaps(drafts: Drafts) -> None:
    """Report each network that overlaps with an earlier one of the lab."""
    before = list(_registry_network(drafts))
    used = [network for network, _ in before]
    used += [network for _, _, network in _all_networks(drafts)]
    for name, field, network in _all_networks(drafts):
        for other, whose in before:
            if network.overlaps(other):
                drafts.plexes[name].source.report(
                    ("networks", field),
                    f"{network} overlaps with {other}, {whose}",
                    _free(used, name, field),
                )
                break
        before.append((network, f"the {field} of plex {name}"))


def _free(used: Collection[IPv4Network], plex: str, field: str) -> str | None:
    try:
        return f"use {each(free_networks(used, plex))[field]}, which is free"
    except UsageError:
        return None


def _registry_network(drafts: Drafts) -> Iterator[tuple[IPv4Network, str]]:
    registry = drafts.hosts.fields.registry if drafts.hosts.fields else None
    if registry is not None and drafts.hosts.source.sound("registry"):
        yield registry.network, "the network of the registry"


def _all_networks(drafts: Drafts) -> Iterator[tuple[str, str, IPv4Network]]:
    for name, draft in drafts.plexes.items():
        if draft.fields and draft.source.sound("networks"):
            for field, network in each(networks_of(name, draft.fields)).items():
                yield name, field, network


def _base_names(drafts: Drafts) -> set[str]:
    """The names of all bases, including those with faults."""
    values = (draft.source.value for draft in drafts.bases)
    return {name for value in values if isinstance(value, dict) for name in value}
