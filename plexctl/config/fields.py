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
    cpu: int | None = entry(whole(1, 1024), "Processors. Without it, all of the host's.", None)
    memory: int | None = entry(
        values.SIZE, "Memory, as in 2GiB. Without it, all of the host's.", None
    )
    disk: int | None = entry(
        values.SIZE, "Size of the root disk, as in 20GiB. Without it, that of the pool.", None
    )

    def size(self) -> Size:
        return Size(self.cpu, self.memory, self.disk)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworksFields:
    link: Link = entry(
        choice(Link),
        "What nodes are plugged into: `own` is a bridge of the plex's own on each host, joined by "
        "VXLAN where they are several; `bridge` is the one that each host names, which leads to "
        "all of them.",
        Link.OWN,
    )
    router: IPv4Address | None = entry(
        values.ADDRESS, "With `link: bridge`: the address that leads out of it.", None
    )
    vlan: int | None = entry(
        whole(1, 4094), "With `link: bridge`: the VLAN that nodes are in.", None
    )
    nodes: IPv4Network | None = entry(
        values.network(16, 28),
        "Network of the nodes, /16 to /28: its hosts have the first addresses, node N the (10+N)th."
        " Without it, 10.64.S.0/24, where S (0 to 61) follows from the plex's name.",
        None,
    )
    pods: IPv4Network | None = entry(
        values.network(8, 23),
        "Network of the pods, /8 to /23: node N has its Nth /24. Without it, 10.(128+S).0.0/16.",
        None,
    )
    services: IPv4Network | None = entry(
        values.network(12, 28),
        "Network of the services, /12 to /28. Without it, a /20 in 10.96.0.0/14.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsFields:
    replicas: int = entry(whole(1, 16), "How many pods of CoreDNS run.", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFields:
    nodes: frozenset[int] = needed(
        values.NUMBERS,
        'Which nodes: a number, or ranges as in "1-3, 7". 1 is the master.',
        frozenset(),
    )
    type: str | None = entry(values.NAME, "Their type. Without it, the plex's.", None)
    host: str | None = entry(values.NAME, "The host they run on. Without it, the plex's.", None)
    size: SizeFields = entry(
        Record(SizeFields), "Limits of each, over those of their type.", SizeFields()
    )
    labels: Mapping[str, str] = entry(
        MapOf(values.LABEL_KEY, values.LABEL_VALUE), "Labels of their Node objects.", {}
    )
    taints: tuple[Taint, ...] | None = entry(
        ListOf(values.TAINT),
        "Taints, as in `key=value:NoSchedule`. They replace those of groups before, and the "
        "master's own; an empty list leaves none.",
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
    engine: GitopsEngine = entry(choice(GitopsEngine), "What applies the apps.", GitopsEngine.FLUX)
    source: tuple[SourceKind, str] = entry(
        values.APP_SOURCE,
        "Where the apps come from: `registry` (what `plexctl flux push` packs), `ssh://…` or "
        "`https://…` (git), `oci://…` (an artifact). Without it, `registry`.",
        (SourceKind.REGISTRY, ""),
    )
    branch: str | None = entry(values.TEXT, "Branch of git. Without it, main.", None)
    tag: str | None = entry(values.TEXT, "Tag of git or of the artifact.", None)
    semver: str | None = entry(
        values.TEXT, "The newest tag of the artifact in this range, as in `1.x`.", None
    )
    known_hosts: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the host keys of an ssh source, as ssh-keyscan prints them.",
        None,
    )
    user: str | None = entry(
        values.TEXT,
        "Whose the token is that `plexctl flux token` keeps for an https or oci source. Without "
        "it, git.",
        None,
    )
    ca: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the certificates (PEM) of the authorities that vouch for an https "
        "or oci source. Without it, the public ones.",
        None,
    )
    verify: str | None = entry(
        values.LAB_FILE,
        "File in the lab with the public keys that must have signed: OpenPGP for git, cosign for "
        "an artifact.",
        None,
    )
    path: str | None = entry(
        values.LAB_FILE,
        "Folder of the source that is applied first. Without it, clusters/ and the plex's name.",
        None,
    )
    interval: int = entry(
        whole(1, 86400), "Seconds between two looks at the source when nothing is pushed.", 60
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexFields:
    kubernetes: str | None = entry(
        values.VERSION,
        "Version of Kubernetes; 1.36 is the newest 1.36 that plexctl knows. Without it, the "
        "newest of all.",
        None,
    )
    host: str | None = entry(
        values.NAME, "The host its nodes run on. Without it, the first of hosts.yaml.", None
    )
    hosts: tuple[str, ...] = entry(
        ListOf(values.NAME, least=1), "Hosts that its nodes are spread over, instead of `host`.", ()
    )
    spread: Spread = entry(
        choice(Spread),
        "How: `even` is one after the other, `capacity` gives each as many as its memory allows "
        "for. `host` of a group wins.",
        Spread.EVEN,
    )
    engine: ProvisionEngine = entry(
        choice(ProvisionEngine),
        "What makes its objects: plexctl itself, or OpenTofu. `plexctl engine` changes it.",
        ProvisionEngine.DIRECT,
    )
    type: str = entry(values.NAME, "Type of its nodes: a file in types/.", "kube")
    masters: int = entry(
        Scalar(_one_master, {"const": 1}), "How many masters there are: one is supported.", 1
    )
    workers: int = entry(
        whole(0, values.MOST_NODES - 1), "How many workers there are besides the master.", 2
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
        "Where none of its hosts is this machine: the port of its master's host at which its API "
        "is reached. Without it, one from 20000 on that follows from its network.",
        None,
    )
    epoch: int = entry(whole(1, 10**6), "Another number makes new keys for all of the plex.", 1)
    durable: bool = entry(
        flag(),
        "Whether etcd waits for the disk at each write, which costs seconds at the start. Without "
        "it, a power cut of the host may cost the cluster's state (`replace master` makes it "
        "anew); a crash of a node or of etcd does not.",
        False,
    )
    gitops: GitopsFields | None = entry(
        Record(GitopsFields), "What brings up its apps. Without it, nothing does.", None
    )
    groups: tuple[GroupFields, ...] = entry(
        ListOf(Record(GroupFields)),
        "What is different for some of its nodes. A later group wins over an earlier one.",
        (),
    )
    kubeadm: KubeadmFields = entry(
        Record(KubeadmFields), "Further settings of its Kubernetes programs.", KubeadmFields()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFields:
    name: str = needed(values.NAME, "Name of the layer: roles/ROLE/tasks/NAME.yml is applied.", "")
    artifacts: tuple[str, ...] = entry(
        ListOf(values.NAME), "What it installs from the depot, as in containerd.", ()
    )
    engine: GitopsEngine | None = entry(
        choice(GitopsEngine),
        "Only plexes with this `gitops.engine` have it. Without it, all.",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFields:
    role: str = needed(values.NAME, "The Ansible role that bakes it: a folder in roles/.", "")
    base: str = entry(values.NAME, "The OS it is baked on: a name in types/bases.yaml.", "debian12")
    layers: tuple[LayerFields, ...] = needed(
        ListOf(Record(LayerFields), least=1),
        "Its images, each on the one before. A change of one bakes it and those after it.",
        (),
    )
    kubernetes: bool = entry(
        flag(), "Whether its nodes join the cluster. Without it they are plain machines.", False
    )
    privileged: bool = entry(
        flag(), "Whether its containers are privileged, which those of Kubernetes need.", False
    )
    size: SizeFields = entry(Record(SizeFields), "Limits of each node.", SizeFields())
    pci: tuple[str, ...] = entry(
        ListOf(values.NAME),
        "PCI devices handed to each node, by the names that hosts give them.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFields:
    release: str = needed(values.NAME, "Release of the OS, as in bookworm.", "")
    form: Form = entry(choice(Form), "What its nodes are.", Form.CONTAINER)
    source: BaseSource = entry(
        choice(BaseSource), "Where its root file system comes from.", BaseSource.DEBOOTSTRAP
    )
    packages: tuple[str, ...] = entry(
        ListOf(values.PACKAGE), "Packages that it has besides the smallest system.", ()
    )
    mirror: str | None = entry(
        values.URL, "Mirror of packages. Without it, the one that this machine uses.", None
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
        values.CHECKSUM, "Of that image: `sha256:…` or `sha512:…`. It must be given.", None
    )


PLEX = Record(PlexFields)
TYPE = Record(TypeFields)
BASES = MapOf(values.NAME, Record(BaseFields))
