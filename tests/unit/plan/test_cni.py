"""What a plex boots with when the user installs its CNI plugin."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace

import pytest

from plexctl.model.kinds import Cni
from plexctl.model.plex import Plex
from plexctl.plan.cni.choice import POD_NETWORKS
from plexctl.plan.inputs import Inputs
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.types import Instance


@pytest.fixture
def bare(demo: Plex) -> Plex:
    return replace(demo, cni=Cni.NONE)


def files(instance: Instance) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(instance.boot)) as tar:
        read = {one.name: tar.extractfile(one) for one in tar if one.isfile()}
        return {name: file.read().decode() for name, file in read.items() if file}


def argument(plex: Plex, name: str) -> list[str]:
    manager = kubeadm.cluster_configuration(plex)["controllerManager"]
    return [one["value"] for one in manager["extraArgs"] if one["name"] == name]


def test_every_choice_has_a_pod_network() -> None:
    assert POD_NETWORKS.keys() == set(Cni)


def test_without_a_plugin_a_node_has_no_network_of_pods(
    demo: Plex, bare: Plex, inputs: Inputs
) -> None:
    for ours, own in zip(
        plan_plex(demo, inputs).instances, plan_plex(bare, inputs).instances, strict=True
    ):
        static, none = files(ours), files(own)
        assert static.keys() - none.keys() == {
            "etc/cni/net.d/10-plex.conflist",
            "etc/plexctl/nat.nft",
        }
        batch = none["etc/plexctl/network.batch"].splitlines()
        assert [line for line in batch if line.startswith("route")] == [
            "route replace default via 10.64.3.1"
        ]
        assert "10.131.9.0/24" in static["etc/plexctl/network.batch"]


def test_the_controller_manager_gives_each_node_a_range(demo: Plex, bare: Plex) -> None:
    assert argument(demo, "allocate-node-cidrs") == ["false"]
    assert argument(bare, "allocate-node-cidrs") == ["true"]


def test_the_master_does_not_wait_for_dns(demo: Plex, bare: Plex, inputs: Inputs) -> None:
    found = [
        json.loads(files(plan_plex(plex, inputs).instances[0])["etc/plexctl/control-plane.json"])
        for plex in (replace(demo, masters=3), replace(bare, masters=3))
    ]

    assert [one.get("network") for one in found] == [None, False]
