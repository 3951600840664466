"""What each file of a lab may hold: every field with its kind, its description and its default."""
# ruff: noqa: RUF009 - `entry` is a dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plexctl.config import kubernetes, values
from plexctl.config.faults import Fault
from plexctl.config.shape import ListOf, MapOf, Record, Scalar, choice, entry, flag, needed, whole
from plexctl.model.gitops import GitopsEngine, SourceKind
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.plex import JsonText, Link, Spread, Taint
from plexctl.model.types import BaseSource, Form, Size

NO_SETTINGS = JsonText("{}")


def _one_master(value: object) -> int:
    if value != 1 or isinstance(value, bool):
        raise Fault("one master is supported", "leave `masters` out")
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFields:
    cpu: int | None = entry(whole(1, 1024), "Processors. Default: all of the host's.", None)
    memory: int | None = entry(values.SIZE, "Memory, as in 2GiB. Default: all of the host's.", None)
    disk: int | None = entry(
        values.SIZE, "Size of the root disk, as in 20GiB. Default: that of the pool.", None
    )

    def size(self) -> Size:
        return Size(self.cpu, self.memory, self.disk)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworksFields:
    link: Link = entry(
        choice(Link),
        "The network that nodes are attached to: `own` creates a bridge for the plex on each host "
        "and joins several hosts by VXLAN; `bridge` uses the bridge that hosts.yaml names for each "
        "host, which must reach all of them.",
        Link.OWN,
    )
    router: IPv4Address | None = entry(
        values.ADDRESS, "With `link: bridge`: the gateway of the nodes.", None
    )
    vlan: int | None = entry(whole(1, 4094), "With `link: bridge`: the VLAN of the nodes.", None)
    nodes: IPv4Network | None = entry(
        values.network(16, 28),
        "Network of the nodes, /16 to /28: hosts have the first addresses, node N the (10+N)th. "
        "Default: 10.64.S.0/24, where S (0 to 61) follows from the plex's name.",
        None,
    )
    pods: IPv4Network | None = entry(
        values.network(8, 23),
        "Network of the pods, /8 to /23: node N has its Nth /24. Default: 10.(128+S).0.0/16.",
        None,
    )
    services: IPv4Network | None = entry(
        values.network(12, 28),
        "Network of the services, /12 to /28. Default: a /20 in 10.96.0.0/14.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsFields:
    replicas: int = entry(whole(1, 16), "Number of CoreDNS pods.", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFields:
    nodes: frozenset[int] = needed(
        values.NUMBERS,
        'The nodes of the group: a number, or ranges as in "1-3, 7". 1 is the master.',
        frozenset(),
    )
    type: str | None = entry(values.NAME, "Their type. Default: that of the plex.", None)
    host: str | None = entry(
        values.NAME, "The host that they run on. Default: that of the plex.", None
    )
    size: SizeFields = entry(
        Record(SizeFields), "Limits of each node; they override those of the type.", SizeFields()
    )
    labels: Mapping[str, str] = entry(
        MapOf(values.LABEL_KEY, values.LABEL_VALUE), "Labels of the Node objects.", {}
    )
    taints: tuple[Taint, ...] | None = entry(
        ListOf(values.TAINT),
        "Taints, as in `key=value:NoSchedule`. They replace those of earlier groups, and the "
        "master's own; an empty list removes all taints.",
        None,
    )
    kubelet: JsonText = entry(
        kubernetes.KUBELET, "Fields of their KubeletConfiguration.", NO_SETTINGS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmFields:
    cluster: JsonText = entry(
        kubernetes.CLUSTER,
        "Fields of kubeadm's ClusterConfiguration (v1beta4): `extraArgs` and `extraVolumes` of "
        "`apiServer`, `controllerManager` and `scheduler`, `etcd.local.extraArgs`, `featureGates`.",
        NO_SETTINGS,
    )
    proxy: JsonText = entry(kubernetes.PROXY, "Fields of KubeProxyConfiguration.", NO_SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitopsFields:
    engine: GitopsEngine = entry(
        choice(GitopsEngine), "The program that applies the apps.", GitopsEngine.FLUX
    )
    source: tuple[SourceKind, str] = entry(
        values.APP_SOURCE,
        "Source of the apps: `registry` (the lab's registry, filled by `plexctl flux push`), "
        "`ssh://…` or `https://…` (git), `oci://…` (an artifact). Default: `registry`.",
        (SourceKind.REGISTRY, ""),
    )
    branch: str | None = entry(values.TEXT, "Branch of git. Default: main.", None)
    tag: str | None = entry(values.TEXT, "Tag of git or of the artifact.", None)
    semver: str | None = entry(
        values.TEXT, "Use the newest tag of the artifact in this range, as in `1.x`.", None
    )
    known_hosts: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the host keys of an ssh source, as ssh-keyscan prints them.",
        None,
    )
    user: str | None = entry(
        values.TEXT,
        "User name that is sent with the token of `plexctl flux token`, for an https or oci "
        "source. Default: git.",
        None,
    )
    ca: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the certificates (PEM) of the authorities that an https or oci "
        "source is checked against. Default: the public ones.",
        None,
    )
    verify: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the public keys of accepted signatures: OpenPGP for git, cosign for "
        "an artifact.",
        None,
    )
    path: str | None = entry(
        values.LAB_FILE,
        "Folder of the source that is applied first. Default: clusters/ and the plex's name.",
        None,
    )
    interval: int = entry(
        whole(1, 86400), "Seconds between two checks of the source when nothing is pushed.", 60
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexFields:
    kubernetes: str | None = entry(
        values.VERSION,
        "Version of Kubernetes; 1.36 is the newest patch release of 1.36 in the pins. Default: the "
        "newest version of all.",
        None,
    )
    host: str | None = entry(
        values.NAME, "The host that its nodes run on. Default: the first of hosts.yaml.", None
    )
    hosts: tuple[str, ...] = entry(
        ListOf(values.NAME, least=1), "Hosts that its nodes are spread over, instead of `host`.", ()
    )
    spread: Spread = entry(
        choice(Spread),
        "How nodes are distributed over `hosts`: `even` is round robin, `capacity` gives each host "
        "as many as its memory allows. `host` of a group overrides it.",
        Spread.EVEN,
    )
    engine: ProvisionEngine = entry(
        choice(ProvisionEngine),
        "The engine that creates its objects: plexctl itself, or OpenTofu. `plexctl engine` "
        "changes it.",
        ProvisionEngine.DIRECT,
    )
    type: str = entry(values.NAME, "Type of its nodes: a file in types/.", "kube")
    masters: int = entry(
        Scalar(_one_master, {"const": 1}), "Number of masters; only one is supported.", 1
    )
    workers: int = entry(
        whole(0, values.MOST_NODES - 1), "Number of workers, besides the master.", 2
    )
    networks: NetworksFields = entry(
        Record(NetworksFields),
        "Its networks. None may overlap with another network of the lab.",
        NetworksFields(),
    )
    domain: str = entry(values.DOMAIN, "DNS domain of its services.", "cluster.local")
    dns: DnsFields = entry(Record(DnsFields), "DNS of its services.", DnsFields())
    api_port: int | None = entry(
        whole(1024, 65535),
        "For a plex with no node on this machine: the port of the master's host that forwards to "
        "the API. Default: one between 20000 and 29999 that follows from its network.",
        None,
    )
    epoch: int = entry(
        whole(1, 10**6), "Generation of its keys: another number gives the plex new keys.", 1
    )
    durable: bool = entry(
        flag(),
        "Whether etcd waits for the disk at each write, which costs seconds at the start. If "
        "false, a power cut of the host may lose the cluster's state (`replace master` recreates "
        "the cluster); a crash of a node or of etcd does not.",
        False,
    )
    gitops: GitopsFields | None = entry(
        Record(GitopsFields), "How its apps are applied. Default: not at all.", None
    )
    groups: tuple[GroupFields, ...] = entry(
        ListOf(Record(GroupFields)),
        "Settings of some of its nodes. A later group overrides an earlier one.",
        (),
    )
    kubeadm: KubeadmFields = entry(
        Record(KubeadmFields), "Further settings of its Kubernetes programs.", KubeadmFields()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFields:
    name: str = needed(values.NAME, "Name of the layer: roles/ROLE/tasks/NAME.yml is applied.", "")
    artifacts: tuple[str, ...] = entry(
        ListOf(values.NAME), "Components of the depot that it installs, as in containerd.", ()
    )
    engine: GitopsEngine | None = entry(
        choice(GitopsEngine),
        "Only plexes with this `gitops.engine` use the layer. Default: all plexes.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFields:
    role: str = needed(values.NAME, "The Ansible role that bakes it: a folder in roles/.", "")
    base: str = entry(
        values.NAME, "The OS that it is baked on: a name in types/bases.yaml.", "debian12"
    )
    layers: tuple[LayerFields, ...] = needed(
        ListOf(Record(LayerFields), least=1),
        "Its image layers, each baked on the one before. A change of one bakes it and all later "
        "ones.",
        (),
    )
    kubernetes: bool = entry(
        flag(), "Whether its nodes join the cluster. If false, they are plain machines.", False
    )
    privileged: bool = entry(
        flag(), "Whether its containers are privileged; containers with Kubernetes must be.", False
    )
    size: SizeFields = entry(Record(SizeFields), "Limits of each node.", SizeFields())
    pci: tuple[str, ...] = entry(
        ListOf(values.NAME),
        "PCI devices that each node gets, by the names in hosts.yaml.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFields:
    release: str = needed(values.NAME, "Release of the OS, as in bookworm.", "")
    form: Form = entry(choice(Form), "Kind of its nodes.", Form.CONTAINER)
    source: BaseSource = entry(
        choice(BaseSource), "Source of its root file system.", BaseSource.DEBOOTSTRAP
    )
    packages: tuple[str, ...] = entry(
        ListOf(values.PACKAGE), "Packages besides those of the minimal system.", ()
    )
    mirror: str | None = entry(
        values.URL, "Mirror of packages. Default: the mirror of this machine.", None
    )
    server: str = entry(
        values.URL, "Image server, for `source: images`.", "https://images.linuxcontainers.org"
    )
    image: str | None = entry(
        values.TEXT, "Image on that server, as in debian/12, for `source: images`.", None
    )
    url: str | None = entry(
        values.URL, "Disk image in qcow2 with cloud-init, for `source: cloud`.", None
    )
    checksum: str | None = entry(
        values.CHECKSUM,
        "Checksum of that image, `sha256:…` or `sha512:…`; needed with `source: cloud`.",
        None,
    )


PLEX = Record(PlexFields)
TYPE = Record(TypeFields)
BASES = MapOf(values.NAME, Record(BaseFields))
