"""The fields of plex.yaml, types/*.yaml and bases.yaml: shape, description and default of each.

shape.py describes how to add a field.
"""
# ruff: noqa: RUF009 - `entry` is a dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plexctl.config import kubernetes
from plexctl.config.faults import Fault, describe
from plexctl.config.shape import (
    FlagOr,
    ListOf,
    MapOf,
    Record,
    Scalar,
    choice,
    entry,
    flag,
    needed,
    whole,
)
from plexctl.config.values.backups import DURATION, PLACE, REGION
from plexctl.config.values.names import DOMAIN, IMAGE, NAME, PACKAGE, USER
from plexctl.config.values.networks import ADDRESS, PEER, network
from plexctl.config.values.nodes import LABEL_KEY, LABEL_VALUE, MOST_NODES, NUMBERS, TAINT
from plexctl.config.values.paths import LAB_FILE
from plexctl.config.values.sizes import DISK, MEMORY
from plexctl.config.values.sources import APP_SOURCE, BRANCH, SEMVER, VERSION
from plexctl.config.values.urls import CHECKSUM, HTTPS, URL
from plexctl.model.gitops import GitopsEngine, SourceKind
from plexctl.model.kinds import Cni, ProvisionEngine
from plexctl.model.plex import JsonText, Link, Spread, Taint
from plexctl.model.types import BaseSource, Form, Size

NO_SETTINGS = JsonText("{}")


MASTERS = (1, 3, 5)


def _masters(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in MASTERS:
        raise Fault(
            f"must be 1, 3 or 5, not {describe(value)}",
            "etcd needs more than half of its members: an even number survives no more losses",
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFields:
    """The mapping `size` of a type or of a group."""

    cpu: int | None = entry(whole(1, 1024), "Processors. Default: all of the host.", None)
    memory: int | None = entry(MEMORY, "Memory, for example 2GiB. Default: all of the host.", None)
    disk: int | None = entry(
        DISK,
        "Size of the root disk, for example 20GiB. Default: the size of the pool.",
        None,
    )

    def size(self) -> Size:
        return Size(self.cpu, self.memory, self.disk)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworksFields:
    """The mapping `networks` of plex.yaml."""

    link: Link = entry(
        choice(Link),
        "The bridge of the nodes: `own` creates one for the plex on each host, connected by VXLAN "
        "between several hosts; `bridge` uses the `bridge` of each host, which must be in one "
        "network on all hosts.",
        Link.OWN,
    )
    router: IPv4Address | None = entry(
        ADDRESS, "With `link: bridge`: the address of the router.", None
    )
    vlan: int | None = entry(whole(1, 4094), "With `link: bridge`: the VLAN of the nodes.", None)
    nodes: IPv4Network | None = entry(
        network(16, 28, public=True),
        "Network of the nodes, /16 to /28. Host N of the plex has address N, the API has address "
        "10, and node N has address 10+N. Default: 10.64.S.0/24, where S (0 to 61) is computed "
        "from the plex's name.",
        None,
    )
    pods: IPv4Network | None = entry(
        network(8, 23),
        "Network of the pods, /8 to /23. Node N has its Nth /24. Default: 10.(128+S).0.0/16.",
        None,
    )
    services: IPv4Network | None = entry(
        network(12, 28),
        "Network of the services, /12 to /28. Default: a /20 in 10.96.0.0/14.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationFields:
    """The mapping `isolation` of plex.yaml."""

    allow: tuple[str | IPv4Network, ...] = needed(
        ListOf(PEER, least=1),
        "The exceptions: names of plexes of the lab whose nodes and pods may connect to this plex, "
        "and networks, for example 192.168.1.0/24.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsFields:
    """The mapping `dns` of plex.yaml."""

    replicas: int | None = entry(
        whole(1, 16),
        "Number of CoreDNS pods. Default: 1, and 2 with several masters.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFields:
    """An entry of `groups` in plex.yaml."""

    nodes: frozenset[int] = needed(
        NUMBERS,
        'The nodes of the group: a number, or ranges such as "1-3, 7". Masters come first.',
        frozenset(),
    )
    type: str | None = entry(NAME, "Type of these nodes. Default: that of the plex.", None)
    host: str | None = entry(NAME, "Host of these nodes. Default: that of the plex.", None)
    size: SizeFields = entry(
        Record(SizeFields), "Limits of each node; they override those of the type.", SizeFields()
    )
    labels: Mapping[str, str] = entry(
        MapOf(LABEL_KEY, LABEL_VALUE), "Labels of the Node objects.", {}
    )
    taints: tuple[Taint, ...] | None = entry(
        ListOf(TAINT),
        "Taints of the Node objects, for example `key=value:NoSchedule`. They replace those of "
        "earlier groups, and those of a master. An empty list removes all taints.",
        None,
    )
    kubelet: JsonText = entry(
        kubernetes.KUBELET, "Fields of the KubeletConfiguration.", NO_SETTINGS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmFields:
    """The mapping `kubeadm` of plex.yaml."""

    cluster: JsonText = entry(
        kubernetes.CLUSTER,
        "Fields of kubeadm's ClusterConfiguration (v1beta4): `extraArgs`, `extraEnvs` and "
        "`extraVolumes` of `apiServer`, `controllerManager` and `scheduler`, `extraArgs` and "
        "`extraEnvs` of `etcd.local`, `featureGates`.",
        NO_SETTINGS,
    )
    proxy: JsonText = entry(kubernetes.PROXY, "Fields of KubeProxyConfiguration.", NO_SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitopsFields:
    """The mapping `gitops` of plex.yaml."""

    engine: GitopsEngine = entry(
        choice(GitopsEngine), "The program that applies the apps.", GitopsEngine.FLUX
    )
    source: tuple[SourceKind, str] = entry(
        APP_SOURCE,
        "The source of the apps: `registry` (the artifact that `plexctl flux push` pushes), "
        "`ssh://…` or `https://…` (a git repository), or `oci://…` (an OCI artifact). Default: "
        "`registry`.",
        (SourceKind.REGISTRY, ""),
    )
    branch: str | None = entry(BRANCH, "Branch of the git repository. Default: main.", None)
    tag: str | None = entry(BRANCH, "Tag of the git repository or of the OCI artifact.", None)
    semver: str | None = entry(
        SEMVER,
        "A range of versions, for example `1.x`: the newest tag of the OCI artifact in it.",
        None,
    )
    known_hosts: str | None = entry(
        LAB_FILE,
        "File in the lab with the host keys of an ssh source, in the format of ssh-keyscan.",
        None,
    )
    user: str | None = entry(
        USER,
        "User name for an https or oci source; `plexctl flux token` stores the token. Default: "
        "git.",
        None,
    )
    ca: str | None = entry(
        LAB_FILE,
        "File in the lab with the certificates (PEM) of the authorities to trust for an https or "
        "oci source. Default: the public authorities.",
        None,
    )
    verify: str | None = entry(
        LAB_FILE,
        "File in the lab with public keys. The source must be signed by one of them: OpenPGP for "
        "git, cosign for an OCI artifact.",
        None,
    )
    path: str | None = entry(
        LAB_FILE,
        "Folder of the source that Flux applies first. Default: clusters/<plex>.",
        None,
    )
    interval: int = entry(
        whole(1, 86400), "Seconds between two checks of the source for changes.", 60
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFields:
    """The mapping `backup` of plex.yaml."""

    every: int = entry(
        DURATION, "Time between two backups, for example 30min, 6h or 2d. Default: 6h.", 6 * 3600
    )
    keep: int = entry(whole(1, 1000), "Number of backups to keep. Older ones are deleted.", 7)
    to: str = needed(
        PLACE,
        "Where to: `s3://bucket/prefix`, or a folder of the masters below /srv, /mnt or "
        "/var/backups. plexctl puts a volume there, which outlives the nodes.",
        "",
    )
    endpoint: str | None = entry(
        HTTPS, "For S3: the server. Default: https://s3.amazonaws.com.", None
    )
    region: str | None = entry(
        REGION, "For S3: the region of the bucket. Default: us-east-1.", None
    )
    ca: str | None = entry(
        LAB_FILE,
        "For S3: file in the lab with the certificates (PEM) of the authorities to trust. Default: "
        "the public authorities.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexFields:
    """The file plex.yaml."""

    kubernetes: str | None = entry(
        VERSION,
        "Kubernetes version. 1.36 means the newest supported patch release of 1.36. Default: the "
        "newest supported version.",
        None,
    )
    host: str | None = entry(NAME, "Host of the nodes. Default: the first one in hosts.yaml.", None)
    hosts: tuple[str, ...] = entry(
        ListOf(NAME, least=1),
        "Hosts to which the nodes are distributed, instead of `host`.",
        (),
    )
    spread: Spread = entry(
        choice(Spread),
        "How nodes are distributed to `hosts`: `even` takes the hosts in turn, `capacity` follows "
        "their memory. The `host` of a group takes precedence.",
        Spread.EVEN,
    )
    engine: ProvisionEngine = entry(
        choice(ProvisionEngine),
        "What creates the instances and networks: plexctl itself (`direct`), or OpenTofu (`tofu`). "
        "`plexctl engine` changes it.",
        ProvisionEngine.DIRECT,
    )
    type: str = entry(NAME, "Type of the nodes: the name of a file in types/.", "kube")
    masters: int = entry(
        Scalar(_masters, {"enum": list(MASTERS)}),
        "Number of masters: nodes 1 to N have the control plane. With 3 the cluster survives the "
        "loss of one, with 5 of two.",
        1,
    )
    workers: int = entry(whole(0, MOST_NODES - 1), "Number of workers.", 2)
    networks: NetworksFields = entry(
        Record(NetworksFields),
        "Networks of the plex. They must not overlap with other networks of the lab.",
        NetworksFields(),
    )
    isolation: bool | IsolationFields | None = entry(
        FlagOr(Record(IsolationFields)),
        "Whether only the plex itself and its hosts may connect to its nodes and pods. `false` "
        "lets everyone connect that has a route, such as other plexes; a mapping lists exceptions. "
        "With `link: bridge`, the network of the hosts decides instead. Default: true.",
        None,
    )
    cni: Cni = entry(
        choice(Cni),
        "What gives pods their network. `static`: plexctl, with routes that are known beforehand. "
        "`none`: you install a CNI plugin, and nodes become Ready then.",
        Cni.STATIC,
    )
    domain: str = entry(DOMAIN, "DNS domain of the services.", "cluster.local")
    dns: DnsFields = entry(Record(DnsFields), "DNS of the cluster.", DnsFields())
    api_port: int | None = entry(
        whole(1024, 65535),
        "For plexes on other machines only: the port of the master's host at which the API is "
        "reached. Default: a port from 20000 on, computed from `networks.nodes`.",
        None,
    )
    epoch: int = entry(
        whole(1, 10**6),
        "Change this number to generate all keys and certificates of the plex again.",
        1,
    )
    durable: bool = entry(
        flag(),
        "Whether etcd waits for the disk after each write, which takes seconds at the start. If "
        "false, a power failure of the host can destroy the state of the cluster, and `replace "
        "master` starts a new one. Crashes of nodes or of etcd are safe.",
        False,
    )
    genesis: bool = entry(
        flag(),
        "Whether a new cluster starts with the objects in etcd that its own start would otherwise "
        "create, which is faster. If false, `kubeadm init` and the controllers create them.",
        True,
    )
    gitops: GitopsFields | None = entry(
        Record(GitopsFields), "The engine and the source of the apps. Default: no engine.", None
    )
    backup: BackupFields | None = entry(
        Record(BackupFields),
        "Backups that masters write by themselves. Default: none.",
        None,
    )
    groups: tuple[GroupFields, ...] = entry(
        ListOf(Record(GroupFields)),
        "Settings of some of the nodes. Later groups override earlier ones.",
        (),
    )
    kubeadm: KubeadmFields = entry(
        Record(KubeadmFields), "Further settings of Kubernetes programs.", KubeadmFields()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFields:
    """An entry of `layers` in a type."""

    name: str = needed(NAME, "Name of the layer. Baking it runs roles/ROLE/tasks/NAME.yml.", "")
    artifacts: tuple[str, ...] = entry(
        ListOf(NAME), "Components of the depot that it installs, for example containerd.", ()
    )
    engine: GitopsEngine | None = entry(
        choice(GitopsEngine),
        "Only plexes with this `gitops.engine` have the layer. Default: all plexes.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFields:
    """A file of a type, types/<type>.yaml."""

    role: str = needed(
        NAME, "Ansible role that bakes the type: the name of a folder in roles/.", ""
    )
    base: str = entry(NAME, "Operating system: a name in types/bases.yaml.", "debian12")
    layers: tuple[LayerFields, ...] = needed(
        ListOf(Record(LayerFields), least=1),
        "Layers of its image, each on top of the previous one. A change bakes a layer and all "
        "layers above it again.",
        (),
    )
    kubernetes: bool = entry(
        flag(), "Whether the nodes join the cluster. If false, they are plain machines.", False
    )
    privileged: bool = entry(
        flag(), "Whether containers are privileged, as Kubernetes requires it.", False
    )
    size: SizeFields = entry(Record(SizeFields), "Limits of each node.", SizeFields())
    pci: tuple[str, ...] = entry(
        ListOf(NAME),
        "PCI devices of each node, by their names in `pci` of the host.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFields:
    """An entry of bases.yaml."""

    release: str = needed(NAME, "Release of the operating system, for example bookworm.", "")
    form: Form = entry(choice(Form), "Form of the nodes.", Form.CONTAINER)
    source: BaseSource = entry(
        choice(BaseSource), "Source of the root file system.", BaseSource.DEBOOTSTRAP
    )
    packages: tuple[str, ...] = entry(
        ListOf(PACKAGE),
        "Packages in addition to the minimal system. Nodes need those of the built-in bases.",
        (),
    )
    mirror: str | None = entry(
        URL, "Mirror for packages. Default: the one that this machine uses.", None
    )
    server: str = entry(
        URL, "For `source: images`: the image server.", "https://images.linuxcontainers.org"
    )
    image: str | None = entry(
        IMAGE, "For `source: images`: the image on that server, for example debian/12.", None
    )
    url: str | None = entry(URL, "For `source: cloud`: a qcow2 disk image with cloud-init.", None)
    checksum: str | None = entry(
        CHECKSUM,
        "For `source: cloud`: the checksum of the image, `sha256:…` or `sha512:…`. Required there.",
        None,
    )


PLEX = Record(PlexFields)
TYPE = Record(TypeFields)
BASES = MapOf(NAME, Record(BaseFields))
