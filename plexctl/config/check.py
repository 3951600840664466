"""Checks of a lab's files: names exist, networks do not overlap, numbers are in range."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from plexctl.config.builtin import names, overlay
from plexctl.config.check_backup import check_backup
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
from plexctl.config.fields import (
    NO_SETTINGS,
    GroupFields,
    IsolationFields,
    PlexFields,
    TypeFields,
)
from plexctl.config.kubernetes_types import (
    KUBEADM,
    flag_fault,
    gate_fault,
    is_known,
    minor_of,
    missing_fields,
)
from plexctl.config.networks import default_networks, each, free_networks
from plexctl.config.shape import T
from plexctl.config.source import Where, YamlFile
from plexctl.config.values.names import NAME, parse_plex_name
from plexctl.errors import UsageError
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import capacity
from plexctl.model.plex import Link, Networks
from plexctl.model.types import Form

NO_ROLES = ("host", "plays", "plugins")
"""Folders in roles/ from which nothing is baked."""

BASE_LAYER = "base"
"""The name of the image below the layers of all types."""


def check(
    drafts: Drafts, kubernetes_versions: Sequence[str], components: Collection[str] | None = None
) -> None:
    """Report the problems to the sources of `drafts`: within files, and across files.

    `components` are those of the depot; None: their names are not checked.
    """
    check_hosts(drafts)
    check_bases(drafts)
    for draft in drafts.types.values():
        if draft.fields:
            _type(drafts, draft, draft.fields)
            _baked(drafts, draft, draft.fields, components)
    _check_names(drafts.types, NAME.parse)
    for name, plex in drafts.plexes.items():
        if plex.fields:
            _plex(drafts, plex, plex.fields, networks_of(name, plex.fields))
            if plex.fields.kubernetes:
                _kubernetes(plex, plex.fields.kubernetes, kubernetes_versions)
            _flags(plex, plex.fields, newest(kubernetes_versions, plex.fields.kubernetes))
            check_placement(drafts, plex, plex.fields)
            check_gitops(drafts, plex)
            check_backup(drafts, plex)
    check_registry(drafts)
    _overlaps(drafts)
    _check_names(drafts.plexes, parse_plex_name)


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
    return max(fitting, key=numbers, default=None)


def numbers(version: str) -> tuple[int, ...]:
    """(1, 36, 3) of "1.36.3"."""
    return tuple(map(int, version.split(".")))


def _type(drafts: Drafts, draft: Draft[TypeFields], fields: TypeFields) -> None:
    bases = _base_names(drafts)
    if fields.base not in bases and all(base.source.parsed for base in drafts.bases):
        draft.source.report(
            ("base",), f"there is no base {fields.base}", did_you_mean(fields.base, bases)
        )
    known = all(base.source.sound(fields.base) for base in drafts.bases)
    container = known and fields.base not in bases_of(drafts, Form.VM)
    unprivileged = fields.kubernetes and container and not fields.privileged
    if unprivileged and draft.source.sound("privileged"):
        draft.source.report(
            ("privileged",),
            "must be true: containers that run Kubernetes have to be privileged",
            "write `privileged: true`",
        )
    taken_names = {BASE_LAYER}
    for place, layer in enumerate(fields.layers):
        if layer.name in taken_names:
            taken = "every type has a layer with this name" if layer.name == BASE_LAYER else ""
            draft.source.report(
                ("layers", place, "name"),
                f"'{layer.name}' is used by another layer",
                taken or "choose another name",
            )
        taken_names.add(layer.name)


def _baked(
    drafts: Drafts,
    draft: Draft[TypeFields],
    fields: TypeFields,
    components: Collection[str] | None,
) -> None:
    """Report roles, layers and components of the depot that do not exist: a bake would fail."""
    if components is not None:
        for place, layer in enumerate(fields.layers):
            for at, name in enumerate(layer.artifacts):
                if name not in components:
                    draft.source.report(
                        ("layers", place, "artifacts", at),
                        f"the depot has no component {name}",
                        did_you_mean(name, components),
                    )
    if not draft.source.sound("role") or not fields.role:
        return
    tasks = overlay(drafts.root, "roles", fields.role) / "tasks"
    if not tasks.is_dir():
        known = [name for name in names(drafts.root, "roles") if name not in NO_ROLES]
        draft.source.report(
            ("role",), f"there is no role {fields.role}", did_you_mean(fields.role, known)
        )
        return
    for place, layer in enumerate(fields.layers):
        if not (tasks / f"{layer.name}.yml").is_file() and draft.source.sound(
            "layers", place, "name"
        ):
            layers = [file.stem for file in tasks.glob("*.yml")]
            draft.source.report(
                ("layers", place, "name"),
                f"role {fields.role} has no layer {layer.name}: there is no file "
                f"tasks/{layer.name}.yml",
                did_you_mean(layer.name, layers),
            )


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
    _isolation(drafts, draft, fields)
    for place, group in enumerate(fields.groups):
        _taints(source, place, group)

    _several_masters(source, fields)
    size = fields.masters + fields.workers
    if not (source.sound("workers") and source.sound("masters")):
        return
    for place, group in enumerate(fields.groups):
        if beyond := sorted(number for number in group.nodes if number > size):
            source.report(
                ("groups", place, "nodes"),
                f"there is no node {beyond[0]}: the plex has {size} nodes, including the masters",
                "increase `workers`, or remove the number",
            )
    most = capacity(networks)
    if size > most and source.sound("networks"):
        source.report(
            ("workers",),
            f"{size} nodes do not fit into the networks of the plex: room for {most}",
            room_for(size),
        )


def _several_masters(source: YamlFile, fields: PlexFields) -> None:
    """Report what a plex with several masters cannot have."""
    if fields.masters > 1 and fields.engine is ProvisionEngine.TOFU:
        source.report(
            ("masters",),
            f"cannot be {fields.masters} with `engine: tofu`, which cannot replace one of several",
            "use `engine: direct`",
        )


def _isolation(drafts: Drafts, draft: Draft[PlexFields], fields: PlexFields) -> None:
    """Report exceptions that are not plexes of the lab, and isolation that plexctl cannot have."""
    if fields.isolation is None or not draft.source.sound("isolation"):
        return
    if fields.networks.link is Link.BRIDGE and draft.source.sound("networks"):
        draft.source.report(
            ("isolation",),
            "does not apply to `link: bridge`: the network of the hosts decides who may connect",
            "remove it, and separate the nodes with `vlan` or with a firewall of that network",
        )
    if not isinstance(fields.isolation, IsolationFields):
        return
    own = draft.source.file.parent.name
    for place, name in enumerate(fields.isolation.allow):
        where: Where = ("isolation", "allow", place)
        if name == own:
            draft.source.report(where, "is this plex, which may always connect", "remove it")
        elif isinstance(name, str) and name not in drafts.plexes:
            hint = did_you_mean(name, set(drafts.plexes) - {own})
            draft.source.report(where, f"there is no plex {name}", hint)


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


def _check_names(drafts: Mapping[str, Draft[T]], parse: Callable[[str], str]) -> None:
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
    """Report the first master whose type is not one for Kubernetes."""
    fit = [n for n, t in drafts.types.items() if t.fields and t.fields.kubernetes]
    for number in range(1, fields.masters + 1):
        where: Where = ("type",)
        name = fields.type
        for place, group in enumerate(fields.groups):
            if number in group.nodes and group.type:
                where, name = ("groups", place, "type"), group.type
        if name not in drafts.types or name in fit:
            continue
        if drafts.types[name].source.sound("kubernetes"):
            draft.source.report(
                where,
                f"node {number} is a master, but nodes of type {name} do not run Kubernetes",
                did_you_mean(name, fit),
            )
            return


def _kubernetes(draft: Draft[PlexFields], wanted: str, versions: Sequence[str]) -> None:
    if newest(versions, wanted) is None:
        draft.source.report(
            ("kubernetes",),
            f"plexctl does not support Kubernetes {wanted}",
            _supported(versions),
        )


def _supported(versions: Sequence[str]) -> str:
    """A hint: all versions, and how to follow a minor version."""
    known = sorted(versions, key=numbers, reverse=True)
    minor = known[0].rpartition(".")[0]
    return f"use {', '.join(known)}, or {minor} for the newest patch release of {minor}"


_PROGRAMS: Mapping[Where, str] = {
    ("apiServer",): "kube-apiserver",
    ("controllerManager",): "kube-controller-manager",
    ("scheduler",): "kube-scheduler",
    ("etcd", "local"): "etcd",
}
"""Places in `kubeadm.cluster` with `extraArgs`, and the programs that get them."""


_CONFIGURED = {"kube-proxy": "proxy", "kubelet": "kubelet"}
"""Programs whose configurations have fields in a plex file, and the names of their tables."""


def _flags(draft: Draft[PlexFields], fields: PlexFields, version: str | None) -> None:
    """Report flags, fields and feature gates that a program of `version` does not know.

    Values that it cannot read are reported too. Nothing is where the lab pins a version whose
    flags, fields and gates are not in the tables.
    """
    if version is None or not is_known(minor := minor_of(version)):
        return
    _fields_and_gates(draft, fields, minor)
    if fields.kubeadm.cluster == NO_SETTINGS:
        return
    cluster = json.loads(fields.kubeadm.cluster)
    for at, program in _PROGRAMS.items():
        where: Where = ("kubeadm", "cluster", *at, "extraArgs")
        own = cluster
        for step in at:
            own = (own or {}).get(step)
        for place, argument in enumerate((own or {}).get("extraArgs") or ()):
            if not draft.source.sound(*where, place):
                continue
            if fault := flag_fault(program, argument["name"], argument["value"], minor):
                field, message, hint = fault
                draft.source.report((*where, place, field), message, hint)


def _fields_and_gates(draft: Draft[PlexFields], fields: PlexFields, minor: str) -> None:
    places: list[tuple[Where, str, str]] = [
        (("kubeadm", "cluster"), KUBEADM, fields.kubeadm.cluster),
        (("kubeadm", "proxy"), "kube-proxy", fields.kubeadm.proxy),
    ]
    for place, group in enumerate(fields.groups):
        places.append((("groups", place, "kubelet"), "kubelet", group.kubelet))
    for at, program, settings in places:
        if settings == NO_SETTINGS:
            continue
        found = json.loads(settings)
        if program in _CONFIGURED:
            for name in missing_fields(_CONFIGURED[program], found, minor):
                message = f"{program} of Kubernetes {minor} has no such field"
                draft.source.report((*at, name), message, "remove it, or use a newer `kubernetes`")
        where = (*at, "featureGates")
        if not draft.source.sound(*where):
            continue
        for gate, value in (found.get("featureGates") or {}).items():
            if fault := gate_fault(program, gate, value, minor):
                draft.source.report((*where, gate), *fault)


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
