"""Static pods and the kubelet's files, compared with the output of the real kubeadm 1.36.3.

The recorded files are the output of `kubeadm init --dry-run` with the configuration that
`kubeadm.init_configuration` returns for the plex demo.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import JsonText, Plex
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.static_pods import static_pods

RECORDED = Path(__file__).parent / "kubeadm-1.36.3"


@pytest.mark.parametrize(
    "name", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
)
def test_static_pods_are_those_of_kubeadm(demo: Plex, images: dict[str, str], name: str) -> None:
    recorded = yaml.safe_load((RECORDED / f"{name}.yaml").read_text())

    assert static_pods(demo, images)[name] == recorded


def test_the_kubelet_has_the_configuration_of_kubeadm(demo: Plex, facts: HostFacts) -> None:
    recorded = yaml.safe_load((RECORDED / "config.yaml").read_text())
    own = kubeadm.kubelet_configuration(demo, facts)

    missing = {key: value for key, value in own.items() if recorded.get(key) != value}
    # kubeadm writes durations of zero for missing fields.
    assert set(missing) == {"authentication", "authorization"}
    assert recorded["authentication"]["x509"] == own["authentication"]["x509"]


def test_an_extra_argument_of_the_user_takes_precedence_in_both_places(
    demo: Plex, images: dict[str, str]
) -> None:
    extra = '{"controllerManager": {"extraArgs": [{"name": "kube-api-qps", "value": "7"}]}}'
    plex = replace(demo, cluster=JsonText(extra))

    manager = static_pods(plex, images)["kube-controller-manager"]
    arguments = kubeadm.cluster_configuration(plex)["controllerManager"]["extraArgs"]

    assert "--kube-api-qps=7" in manager["spec"]["containers"][0]["command"]
    assert [a["value"] for a in arguments if a["name"] == "kube-api-qps"] == ["7"]
    assert {"name": "kube-api-burst", "value": "400"} in arguments


def test_an_extra_volume_of_the_user_is_mounted(demo: Plex, images: dict[str, str]) -> None:
    volume = {"name": "webhook", "hostPath": "/etc/webhook", "mountPath": "/etc/webhook"}
    settings = {"apiServer": {"extraVolumes": [volume]}}
    plex = replace(demo, cluster=JsonText(json.dumps(settings)))

    container = static_pods(plex, images)["kube-apiserver"]["spec"]["containers"][0]

    assert {"name": "webhook", "mountPath": "/etc/webhook"} in container["volumeMounts"]
    assert "audit-log" in {mount["name"] for mount in container["volumeMounts"]}


def test_the_audit_log_never_contains_a_body() -> None:
    levels = {rule["level"] for rule in kubeadm.audit_policy()["rules"]}

    assert levels == {"None", "Metadata"}


def test_a_durable_plex_waits_for_the_disk(demo: Plex, images: dict[str, str]) -> None:
    def command(plex: Plex) -> list[str]:
        words = static_pods(plex, images)["etcd"]["spec"]["containers"][0]["command"]
        return [str(word) for word in words]

    own = JsonText(
        '{"etcd": {"local": {"extraArgs": [{"name": "unsafe-no-fsync", "value": "x"}]}}}'
    )
    assert "--unsafe-no-fsync=true" in command(demo)
    assert not [word for word in command(replace(demo, durable=True)) if "fsync" in word]
    assert "--unsafe-no-fsync=x" in command(replace(demo, cluster=own))
