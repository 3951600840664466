"""The reference cluster, and the name of its recording."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
import yaml

from plexctl.bake.base import bake_network
from plexctl.config.networks import each
from plexctl.errors import PlexError
from plexctl.model.gitops import GitopsEngine
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.nodes import capacity, nodes
from plexctl.model.types import Form, Layer, NodeType
from plexctl.plan.genesis.recording import Recording
from plexctl.plan.genesis.reference import (
    SLOTS,
    recording_name,
    reference_networks,
    reference_plex,
)
from plexctl.plan.kubernetes import kubeadm

KUBEADM_CONFIG = "/registry/configmaps/kube-system/kubeadm-config"
COMPONENTS = {"containerd": "containerd-2.3.4", "kubernetes": "kubernetes-1.35.2", "flux": "flux-1"}
ROLES = {("kubenode", "runtime"): "r", ("kubenode", "kube"): "k", ("base", "base"): "b"}


def test_networks_of_reference_clusters_overlap_with_nothing() -> None:
    local = HostSpec("local", HostKind.INCUS, "/none", "default", 3)
    used = [bake_network(local, "0" * 32).gateway.network]
    used.append(bake_network(replace(local, project="mine"), "0" * 32).gateway.network)
    used.append(IPv4Network("10.0.0.0/8"))
    for _ in SLOTS:
        found = reference_networks(used)
        assert capacity(found) >= 1
        for network in each(found).values():
            assert network.subnet_of(IPv4Network("198.18.0.0/15"))
            assert not any(network.overlaps(other) for other in used)
            used.append(network)
    with pytest.raises(PlexError, match="15 reference clusters are in use"):
        reference_networks(used)


def test_a_reference_cluster_is_a_master_that_kubeadm_initialises(kube: NodeType) -> None:
    networks = reference_networks(())
    plex = reference_plex("rec-bcdfgh", "1.35.2", replace(kube, pci=("gpu",)), "far", networks)

    (master,) = nodes(plex)
    assert (master.name, master.host, master.type.pci) == ("rec-bcdfgh1", "far", ())
    assert not plex.genesis


def name(node_type: NodeType, kubernetes: str = "1.35.2", **changed: str) -> str:
    components = {name: changed.get(name, key) for name, key in COMPONENTS.items()}
    roles = {(role, layer): changed.get(layer, d) for (role, layer), d in ROLES.items()}
    return recording_name(kubernetes, node_type, components, roles)


def test_a_recording_has_another_name_if_something_changes_that_decides_it(kube: NodeType) -> None:
    names = (
        name(kube),
        name(kube, kubernetes="1.35.3"),
        name(kube, containerd="another version"),
        name(kube, kube="another role"),
    )

    assert len(set(names)) == len(names)
    assert names[0].startswith("kubernetes-1.35.2-")


def test_what_is_below_and_above_decides_nothing(kube: NodeType) -> None:
    vm = replace(kube, name="kubevm", privileged=False, base=replace(kube.base, form=Form.VM))
    layer = Layer("flux", ("flux",), GitopsEngine.FLUX)
    with_flux = replace(kube, layers=(*kube.layers, layer))

    assert name(kube, base="another base") == name(kube)
    assert name(vm) == name(kube)
    assert name(with_flux) == name(kube)


@pytest.mark.parametrize("component", ["apiServer", "controllerManager", "scheduler", "etcd"])
def test_what_is_shipped_was_recorded_with_the_settings_of_today(
    recording: Recording, kube: NodeType, component: str
) -> None:
    """If not, record it again: a setting that plexctl drops would stay in new clusters."""
    plex = reference_plex("rec", "1.36.3", kube, "local", reference_networks(()))
    data = json.loads(recording.text)["objects"][KUBEADM_CONFIG]["data"]
    recorded = yaml.safe_load(data["ClusterConfiguration"])
    recorded["etcd"]["local"].pop("dataDir")  # kubeadm's own default

    assert recorded[component] == kubeadm.cluster_configuration(plex)[component]
