"""The contents of etcd with which the plex demo is born."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from plexctl.keys.pki import ClusterKeys
from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import nodes
from plexctl.model.plex import JsonText, Plex
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.compose import (
    PROMPT,
    compose,
    genesis_file,
    is_born_complete,
    takes_additions,
)
from plexctl.plan.genesis.recording import Recording
from plexctl.plan.inputs import Inputs

GOLDEN = Path(__file__).parent.parent / "golden" / "genesis.json"
UID = re.compile(r"\$\{uid:([^}]*)\}")


@pytest.fixture
def keys(demo: Plex, inputs: Inputs) -> ClusterKeys:
    return ClusterKeys.derive(inputs.seed, demo.name, demo.epoch)


def objects(
    plex: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> dict[str, Any]:
    entries = compose(plex, nodes(plex), keys, facts, recording)
    assert len({entry.key for entry in entries}) == len(entries)
    return {entry.key: entry.value for entry in entries}


def pods(found: Mapping[str, Any], name: str) -> list[str]:
    prefix = f"/registry/pods/kube-system/{name}-"
    return [one["spec"]["nodeName"] for key, one in found.items() if key.startswith(prefix)]


def test_what_the_plex_decides_is_that_of_the_golden_file(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    """The golden file has the objects in which something of the plex is.

    Update it only on purpose: GOLDEN=write pytest tests/unit/plan
    """
    recorded = json.loads(recording.text)["objects"]
    found = objects(demo, keys, facts, recording)
    filled = {key: one for key, one in found.items() if recorded.get(key) != one}
    text = json.dumps(filled, indent=1) + "\n"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(text)

    assert text == GOLDEN.read_text()


def test_only_the_node_fills_what_is_left(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    found = objects(demo, keys, facts, recording)
    text = json.dumps(found)

    assert set(re.findall(r"\$\{[^}:]*", text)) == {"${now", "${uid"}
    assert set(UID.findall(text)) <= set(found)


def test_each_node_has_kube_proxy_and_the_first_ones_have_dns(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    plex = replace(demo, workers=3, dns_replicas=2)
    found = objects(plex, keys, facts, recording)

    assert sorted(pods(found, "kube-proxy")) == ["demo1", "demo2", "demo3", "demo4"]
    assert sorted(pods(found, "coredns")) == ["demo1", "demo2"]
    assert found["/registry/deployments/kube-system/coredns"]["spec"]["replicas"] == 2
    (replica_set,) = (one for one in found.values() if one["kind"] == "ReplicaSet")
    assert replica_set["spec"]["replicas"] == 2
    annotations = replica_set["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/desired-replicas"] == "2"
    assert annotations["deployment.kubernetes.io/max-replicas"] == "3"


def test_nodes_that_may_register_late_have_no_pods_yet(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    found = objects(replace(demo, workers=64), keys, facts, recording)

    first = {f"demo{number}" for number in range(1, 2 + PROMPT)}
    assert set(pods(found, "kube-proxy")) == first


def test_a_master_alone_has_all_replicas_of_dns(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    found = objects(replace(demo, workers=0, dns_replicas=2), keys, facts, recording)

    assert pods(found, "coredns") == ["demo1", "demo1"]


def test_nothing_is_said_to_run(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    found = objects(demo, keys, facts, recording)

    for key, one in found.items():
        if key.split("/")[2] in ("deployments", "daemonsets", "replicasets"):
            assert one["status"] == {}, key
        if one["kind"] == "Pod":
            assert one["status"]["phase"] == "Pending", key
            assert [c["type"] for c in one["status"]["conditions"]] == ["PodScheduled"], key
    for live in ("minions", "leases", "endpointslices", "services/endpoints", "events", "secrets"):
        assert not [key for key in found if key.startswith(f"/registry/{live}/")], live


def test_settings_of_the_user_are_in_what_kubeadm_uploads(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    extra = {"controllerManager": {"extraArgs": [{"name": "kube-api-qps", "value": "7"}]}}
    plex = replace(
        demo,
        cluster=JsonText(json.dumps(extra)),
        proxy=JsonText('{"mode": "iptables"}'),
        domain="lab.example",
    )
    found = objects(plex, keys, facts, recording)

    def data(name: str, field: str) -> Any:
        return found[f"/registry/configmaps/kube-system/{name}"]["data"][field]

    cluster = yaml.safe_load(data("kubeadm-config", "ClusterConfiguration"))
    assert {"name": "kube-api-qps", "value": "7"} in cluster["controllerManager"]["extraArgs"]
    assert cluster["dns"] == cluster["proxy"] == {}
    assert yaml.safe_load(data("kube-proxy", "config.conf"))["mode"] == "iptables"
    assert yaml.safe_load(data("kubelet-config", "kubelet"))["clusterDomain"] == "lab.example"
    assert "kubernetes lab.example in-addr.arpa" in data("coredns", "Corefile")


def test_an_addition_is_part_of_the_cluster(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    owner = {"kind": "ReplicaSet", "uid": "${uid:/registry/replicasets/shop/web}"}
    replica_set = {"kind": "ReplicaSet", "metadata": {"uid": owner["uid"]}, "spec": {"replicas": 3}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "web-${suffix}", "ownerReferences": [owner]},
        "spec": {"nodeName": "${node.name}"},
    }
    added = Addition(
        {"/registry/replicasets/shop/web": replica_set},
        {"/registry/pods/shop/web-${suffix}": pod},
    )
    plain = compose(demo, nodes(demo), keys, facts, recording)
    found = compose(demo, nodes(demo), keys, facts, recording, (added,))

    more = {entry.key: entry.value for entry in found if entry not in plain}
    assert len(found) == len(plain) + 4
    assert more.pop("/registry/replicasets/shop/web") == replica_set
    assert [one["spec"]["nodeName"] for _, one in sorted(more.items())].count("demo2") == 2
    assert {key.rpartition("/")[2] for key in more} == {
        one["metadata"]["name"] for one in more.values()
    }


def test_opentofu_creates_a_cluster_without_additions(demo: Plex) -> None:
    assert takes_additions(demo)
    assert not takes_additions(replace(demo, engine=ProvisionEngine.TOFU))
    assert not takes_additions(replace(demo, genesis=False))


def test_a_value_of_the_user_is_no_hole(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    plex = replace(demo, proxy=JsonText('{"metricsBindAddress": "${now}"}'))
    data = objects(plex, keys, facts, recording)["/registry/configmaps/kube-system/kube-proxy"][
        "data"
    ]

    assert "metricsBindAddress: ${{now}" in data["config.conf"]


def test_the_file_has_the_members_of_etcd(
    demo: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording
) -> None:
    entries = compose(demo, nodes(demo), keys, facts, recording)
    content = json.loads(genesis_file(demo, entries))

    assert content["version"] == 1
    assert content["cluster"]["members"] == [{"name": "demo1", "peer": "https://10.64.3.11:2380"}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"genesis": False}, False),
        ({"domain": "lab.example", "workers": 0, "proxy": JsonText('{"mode": "ipvs"}')}, True),
        ({"cluster": JsonText('{"featureGates": {"RootlessControlPlane": true}}')}, False),
        (
            {
                "cluster": JsonText(
                    '{"apiServer": {"extraArgs": [{"name": "runtime-config", "value": "api/all"}]}}'
                )
            },
            False,
        ),
        (
            {
                "cluster": JsonText(
                    '{"apiServer": {"extraArgs": [{"name": "event-ttl", "value": "2h"}]}}'
                )
            },
            True,
        ),
        (
            {
                "cluster": JsonText(
                    '{"etcd": {"local": {"extraEnvs": [{"name": "GOGC", "value": "50"}]}}}'
                )
            },
            True,
        ),
        (
            {
                "cluster": JsonText(
                    '{"etcd": {"local": {"extraArgs": [{"name": "name", "value": "one"}]}}}'
                )
            },
            False,
        ),
    ],
)
def test_a_cluster_is_born_complete_if_it_has_the_objects_of_a_recording(
    demo: Plex, change: dict[str, Any], expected: bool
) -> None:
    assert is_born_complete(replace(demo, **change)) is expected
