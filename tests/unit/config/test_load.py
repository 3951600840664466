"""Loading a lab: from its files to the model."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.config.load import find_lab, load_lab
from plexctl.config.networks import default_networks
from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Role, Taint
from plexctl.model.types import Size

from .labs import VERSIONS, lab

CHECKOUT = Path(__file__).parents[3]


def test_an_empty_file_is_a_plex_with_defaults(tmp_path: Path) -> None:
    demo = load_lab(lab(tmp_path, clusters__demo__plex="# all of it has defaults\n"), VERSIONS)
    plex = demo.plexes["demo"]
    assert (plex.name, plex.kubernetes, plex.host_order) == ("demo", "1.36.10", ("local",))
    assert (plex.type.name, plex.workers, plex.domain) == ("kube", 2, "cluster.local")
    assert (plex.dns_replicas, plex.epoch, plex.groups) == (1, 1, ())
    assert plex.networks == default_networks("demo")
    host = demo.hosts["local"]
    assert (host.kind, host.socket) == (HostKind.INCUS, "/var/lib/incus/unix.socket")
    assert (host.pool, host.parallel) == ("default", 4)
    assert [node.name for node in nodes(plex)] == ["demo1", "demo2", "demo3"]


def test_a_full_plex_becomes_its_nodes(tmp_path: Path) -> None:
    root = lab(
        tmp_path,
        clusters__hosts="hosts: {one: {parallel: 8, address: 10.9.0.1},\n"
        "  two: {socket: /run/two, address: 10.9.0.2}}\n",
        clusters__big__plex="""\
            kubernetes: 1.35
            workers: 5
            networks: {nodes: 10.1.0.0/24}
            dns: {replicas: 2}
            groups:
              - nodes: "2-3, 5"
                host: two
                size: {cpu: 2, memory: 1.5GiB}
                labels: {disk: fast, example.com/rack: ""}
                taints: ["disk=fast:NoSchedule", "slow:NoExecute"]
                kubelet: {maxPods: 50, featureGates: {ImageVolume: true}}
              - {nodes: 3, size: {memory: 512MiB, disk: 20GB}, taints: []}
              - {nodes: [6], type: adm}
            kubeadm:
              cluster: {apiServer: {extraArgs: [{name: v, value: "4"}]}}
              proxy: {conntrack: {min: 7}}
            """,
    )
    plex = load_lab(root, VERSIONS).plexes["big"]
    assert (plex.kubernetes, plex.host_order, plex.dns_replicas) == ("1.35.4", ("one",), 2)
    assert plex.networks.nodes == IPv4Network("10.1.0.0/24")
    assert plex.networks.pods == default_networks("big").pods
    assert plex.cluster == '{"apiServer": {"extraArgs": [{"name": "v", "value": "4"}]}}'
    assert plex.proxy == '{"conntrack": {"min": 7}}'
    master, second, third, fourth, _, sixth = nodes(plex)
    assert (master.host, second.host, third.host) == ("one", "two", "two")
    assert second.size == Size(2, 3 * 2**29, None)
    assert third.size == Size(2, 2**29, 20 * 10**9)
    assert second.labels == (("disk", "fast"), ("example.com/rack", ""))
    assert second.taints == (Taint("disk", "fast", "NoSchedule"), Taint("slow", "", "NoExecute"))
    assert third.taints == fourth.taints == ()
    assert second.kubelet == '{"featureGates": {"ImageVolume": true}, "maxPods": 50}'
    assert (sixth.role, sixth.type.name) == (Role.PLAIN, "adm")


def test_own_types_and_bases_override_built_in_ones(tmp_path: Path) -> None:
    root = lab(
        tmp_path,
        types__bases="mine: {release: trixie, mirror: http://deb.debian.org/debian}\n",
        types__kube="""\
            {role: kubenode, base: mine, kubernetes: true, privileged: true,
             layers: [{name: kube, artifacts: [containerd]}], size: {memory: 4GiB}}
            """,
        clusters__demo__plex="groups: [{nodes: 2, size: {cpu: 1}}]\n",
    )
    loaded = load_lab(root, VERSIONS)
    kube = loaded.plexes["demo"].type
    assert kube == loaded.types["kube"]
    assert (kube.base.release, kube.base.mirror) == ("trixie", "http://deb.debian.org/debian")
    assert loaded.types["adm"].base.name == "debian12"
    second = nodes(loaded.plexes["demo"])[1]
    assert second.size == Size(cpu=1, memory=4 * 2**30)


def test_a_folder_without_a_plex_file_is_no_plex(tmp_path: Path) -> None:
    root = lab(tmp_path, clusters__flux__apps="not: ours\n")
    assert load_lab(root, VERSIONS).plexes == {}


def test_this_checkout_is_a_lab() -> None:
    demo = load_lab(find_lab(CHECKOUT / "clusters" / "demo"), VERSIONS).plexes["demo"]
    assert demo.size > 1  # whoever works in this checkout may have scaled it
    assert demo.type.kubernetes


def test_the_lab_is_found_in_parent_folders(tmp_path: Path) -> None:
    deep = tmp_path / "clusters" / "demo" / "apps"
    deep.mkdir(parents=True)
    assert find_lab(deep) == tmp_path.resolve()


def test_without_a_lab_there_is_a_hint_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_lab(tmp_path)
    assert "plexctl init" in str(caught.value.hint)
