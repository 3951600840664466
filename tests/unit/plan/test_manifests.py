"""Static pods and the kubelet's files, compared with the output of the real kubeadms.

`bin/pin` has recorded it for each pinned version: what `kubeadm init --dry-run` writes with the
configuration of the plex demo.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from plexctl.depot.pins import load_pins
from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import JsonText, Plex
from plexctl.model.types import Size
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.static_pods import static_pods

HERE = Path(__file__).parent
VERSIONS = load_pins().versions()
POD = ("exec", "attach", "portforward", "proxy")


def test_every_pinned_version_is_recorded_and_no_other() -> None:
    recorded = {folder.name for folder in HERE.glob("kubeadm-*")}

    assert recorded == {f"kubeadm-{version}" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "name", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
)
def test_static_pods_are_those_of_kubeadm(demo: Plex, version: str, name: str) -> None:
    recorded = yaml.safe_load((HERE / f"kubeadm-{version}" / f"{name}.yaml").read_text())
    images = dict(load_pins().release(version).images)

    assert static_pods(replace(demo, kubernetes=version), images)[name] == recorded


@pytest.mark.parametrize("version", VERSIONS)
def test_the_kubelet_has_the_configuration_of_kubeadm(
    demo: Plex, facts: HostFacts, version: str
) -> None:
    recorded = yaml.safe_load((HERE / f"kubeadm-{version}" / "config.yaml").read_text())
    own = kubeadm.kubelet_configuration(replace(demo, kubernetes=version), facts)

    missing = {key: value for key, value in own.items() if recorded.get(key) != value}
    # kubeadm writes durations of zero for missing fields.
    assert set(missing) == {"authentication", "authorization"}
    assert recorded["authentication"]["x509"] == own["authentication"]["x509"]


def test_the_configuration_of_kubeadm_contains_no_token(demo: Plex, facts: HostFacts) -> None:
    """kubeadm then creates a random one, which is over after a minute."""
    init = kubeadm.init_configuration(demo, facts)[0]

    assert init["bootstrapTokens"] == [{"ttl": "1m0s"}]


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


def test_environment_variables_are_sorted_as_kubeadm_sorts_them(
    demo: Plex, images: dict[str, str]
) -> None:
    given = [{"name": "GOMEMLIMIT", "value": "1GiB"}, {"name": "GOGC", "value": "200"}]
    settings = {"apiServer": {"extraEnvs": given}, "etcd": {"local": {"extraEnvs": given}}}
    plex = replace(demo, cluster=JsonText(json.dumps(settings)))

    pods = static_pods(plex, images)

    for name in ("kube-apiserver", "etcd"):
        assert pods[name]["spec"]["containers"][0]["env"] == given[::-1]
    assert kubeadm.cluster_configuration(plex)["apiServer"]["extraEnvs"] == given
    assert "--unsafe-no-fsync=true" in pods["etcd"]["spec"]["containers"][0]["command"]


def test_a_variable_of_the_user_replaces_one_of_the_same_name(
    demo: Plex, images: dict[str, str]
) -> None:
    settings = {
        "scheduler": {"extraEnvs": [{"name": "GOGC", "value": "50"}]},
        "etcd": {"local": {"extraEnvs": [{"name": "ETCD_LOGGER", "value": "zap"}]}},
    }

    pods = static_pods(replace(demo, cluster=JsonText(json.dumps(settings))), images)

    def environment(name: str) -> dict[str, str]:
        return {one["name"]: one["value"] for one in pods[name]["spec"]["containers"][0]["env"]}

    own = dict(kubeadm.GARBAGE)
    assert environment("kube-scheduler") == {"GOGC": "50"}
    assert environment("etcd") == {"ETCD_LOGGER": "zap", **own}
    assert environment("kube-controller-manager") == own


def test_the_api_server_leaves_memory_of_a_small_master_to_others(
    demo: Plex, images: dict[str, str]
) -> None:
    small = replace(demo, type=replace(demo.type, size=Size(memory=2 << 30)))

    pods = static_pods(small, images)

    limit = {"name": "GOMEMLIMIT", "value": str(1 << 30)}
    for name, pod in pods.items():
        assert (limit in pod["spec"]["containers"][0]["env"]) is (name == "kube-apiserver")
    assert "GOMEMLIMIT" not in str(static_pods(demo, images))


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


@pytest.mark.parametrize(
    ("verb", "resource", "level"),
    [
        *((verb, f"pods/{name}", "Metadata") for verb in ("get", "create") for name in POD),
        ("get", "services/proxy", "Metadata"),
        ("get", "nodes/proxy", "Metadata"),
        ("get", "secrets", "Metadata"),
        ("list", "configmaps", "Metadata"),
        ("create", "pods", "Metadata"),
        ("delete", "nodes", "Metadata"),
        ("create", "serviceaccounts/token", "Metadata"),
        ("get", "pods", "None"),
        ("get", "pods/log", "None"),
        ("watch", "nodes", "None"),
        ("create", "events", "None"),
    ],
)
def test_the_audit_log_has_changes_secrets_and_what_reaches_into_pods(
    verb: str, resource: str, level: str
) -> None:
    """`kubectl exec`, `attach` and `port-forward` are GET requests: they open a WebSocket."""
    assert audit_level(verb, resource) == level


def test_renewals_of_leases_are_not_in_the_audit_log() -> None:
    assert audit_level("update", "leases", group="coordination.k8s.io") == "None"


def audit_level(verb: str, resource: str, *, group: str = "") -> str:
    """The level of a request: that of the first rule that matches, as in apiserver's checker."""
    for rule in kubeadm.audit_policy()["rules"]:
        assert rule.keys() <= {"level", "verbs", "resources"}, "not evaluated here"
        groups = rule.get("resources", [])
        if verb in rule.get("verbs", [verb]) and (
            not groups
            or any(
                one["group"] == group and resource in one.get("resources", [resource])
                for one in groups
            )
        ):
            return str(rule["level"])
    raise AssertionError("no rule matches")


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
