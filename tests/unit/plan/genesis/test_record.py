"""The documents that are recorded from a cluster which has come to rest."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from plexctl.errors import PlexError
from plexctl.plan.genesis.record import reference, require_neutral, unfinished
from plexctl.plan.genesis.recording import Recording
from tests.fake_kube import objects_at_rest

VALUES = {"master.name": "rec1", "plex": "rec", "endpoint": "10.1.0.11:6443"}
PROXY = "/registry/pods/kube-system/kube-proxy-"


def pod(name: str, node: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"nodeSelectorTerms": [term]}
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    managers = [
        {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {
            "manager": "kubelet",
            "operation": "Update",
            "subresource": "status",
            "fieldsV1": {"f:status": {"f:phase": {}}},
        },
    ]
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"kube-proxy-{name}",
            "generateName": "kube-proxy-",
            "uid": f"uid-{name}",
            "managedFields": managers,
        },
        "spec": {"nodeName": node, "affinity": {"nodeAffinity": {key: required}}},
        "status": {"phase": "Running", "qosClass": "BestEffort", "podIP": "10.1.0.11"},
    }


def deployment() -> dict[str, Any]:
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {}}, "f:status": {"f:replicas": {}}}
    manager = {"manager": "m", "operation": "Update", "subresource": "status", "fieldsV1": fields}
    return {
        "kind": "Deployment",
        "metadata": {"name": "coredns", "generation": 4, "managedFields": [manager]},
        "spec": {"server": "https://10.1.0.11:6443"},
        "status": {"replicas": 1},
    }


def recorded() -> dict[str, Any]:
    mirror = pod("m", "rec1")
    mirror["metadata"] = {"name": "etcd-rec1", "annotations": {"kubernetes.io/config.mirror": "x"}}
    lease = {"kind": "Lease", "metadata": {"name": "rec1"}}
    return reference(
        {
            f"{PROXY}abcde": pod("abcde", "rec1"),
            f"{PROXY}fghij": pod("fghij", "rec2"),
            "/registry/pods/kube-system/etcd-rec1": mirror,
            "/registry/leases/kube-node-lease/rec1": lease,
            "/registry/minions/rec1": {"kind": "Node", "metadata": {"name": "rec1"}},
            "/registry/deployments/kube-system/coredns": deployment(),
        },
        VALUES,
    )


def test_a_pod_of_the_master_is_a_template_for_every_node() -> None:
    ((key, template),) = recorded()["pods"].items()

    assert key == PROXY + "${suffix}"
    assert template["spec"]["nodeName"] == "${node.name}"
    terms = template["spec"]["affinity"]["nodeAffinity"]
    (term,) = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"][0]["values"] == ["${node.name}"]
    assert template["metadata"]["uid"] == f"${{uid:{key}}}"


def test_nothing_that_was_recorded_runs() -> None:
    found = recorded()
    (template,) = found["pods"].values()

    assert list(found["objects"]) == ["/registry/deployments/kube-system/coredns"]
    assert template["status"]["phase"] == "Pending"
    assert "podIP" not in template["status"]
    assert [one["manager"] for one in template["metadata"]["managedFields"]] == [
        "kube-controller-manager"
    ]


def test_what_the_plex_decided_is_a_hole_and_counts_begin_again() -> None:
    (document,) = recorded()["objects"].values()

    assert document["spec"] == {"server": "https://${endpoint}"}
    assert document["status"] == {}
    assert document["metadata"]["generation"] == 1
    (manager,) = document["metadata"]["managedFields"]
    assert manager["fieldsV1"] == {"f:metadata": {"f:annotations": {}}}


def test_a_cluster_that_lacks_nothing_is_finished() -> None:
    assert list(unfinished(objects_at_rest("rec1"))) == []


TOKEN_SECRET = {
    "kind": "Secret",
    "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
    "type": "bootstrap.kubernetes.io/token",
    "data": {"token-id": "YWJjZGVm"},
}
SIGNED = {
    "kind": "ConfigMap",
    "metadata": {"name": "cluster-info", "namespace": "kube-public"},
    "data": {"jws-kubeconfig-abcdef": "eyJ", "kubeconfig": "…"},
}


@pytest.mark.parametrize(
    ("key", "change", "expected"),
    [
        ("serviceaccounts/kube-system/default", None, "Namespace kube-system lacks"),
        ("configmaps/kube-system/kube-root-ca.crt", None, "Namespace kube-system lacks"),
        ("pods/kube-system/kube-proxy-b7x2q", None, "there are no pods"),
        ("clusterroles/admin", {"rules": None}, "ClusterRole admin has no rules"),
        ("deployments/kube-system/coredns", {"status": {}}, "coredns has 0 of 1 pods Ready"),
        ("daemonsets/kube-system/kube-proxy", {"status": {}}, "kube-proxy has 0 of 1 pods Ready"),
        ("daemonsets/kube-system/kube-proxy", None, "there are no daemonsets"),
        ("deployments/kube-system/coredns", None, "there are no deployments"),
        ("secrets/kube-system/bootstrap-token-abcdef", TOKEN_SECRET, "has a token of kubeadm"),
        ("configmaps/kube-public/cluster-info", SIGNED, "cluster-info has a token of kubeadm"),
        (
            "clusterroles/admin",
            {"metadata": {"name": "admin", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            "ClusterRole admin is being deleted",
        ),
    ],
)
def test_what_a_cluster_lacks_is_named(
    key: str, change: dict[str, Any] | None, expected: str
) -> None:
    objects, key = objects_at_rest("rec1"), f"/registry/{key}"
    if change is None:
        del objects[key]
    else:
        objects[key] = {**objects.get(key, {}), **change}

    (lacking,) = unfinished(objects)
    assert expected in lacking


def test_what_is_shipped_is_neutral(recording: Recording) -> None:
    values = dict.fromkeys(re.findall(r"\$\{([a-z_.0-9]+)\}", recording.text), "10.255.255.1")

    require_neutral(json.loads(recording.text), values)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("https://10.1.0.11:6443/x", "the value of endpoint: 10.1.0.11:6443"),
        ("${network}", "an unknown hole: network"),
        ("5d3b1f0a-1c2d-4e5f-8a9b-0c1d2e3f4a5b", "a UID: 5d3b1f0a-1c2d-4e5f-8a9b-0c1d2e3f4a5b"),
    ],
)
def test_a_recording_with_something_of_its_cluster_is_refused(left: str, expected: str) -> None:
    recorded = {"objects": {"/registry/configmaps/a/b": {"data": {"x": left}}}, "pods": {}}

    with pytest.raises(PlexError) as raised:
        require_neutral(recorded, VALUES)
    assert raised.value.details == (expected,)


def test_a_port_that_leads_to_the_api_is_not_recorded() -> None:
    text = "apiServer:\n  certSANs:\n  - 10.0.0.7\n  extraArgs:\n  - name: x\n    value: y\n"
    config = {
        "kind": "ConfigMap",
        "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
        "data": {"ClusterConfiguration": text},
    }
    key = "/registry/configmaps/kube-system/kubeadm-config"

    recorded = reference({key: config}, VALUES)["objects"][key]
    assert recorded["data"]["ClusterConfiguration"] == text.replace(
        "  certSANs:\n  - 10.0.0.7\n", ""
    )
