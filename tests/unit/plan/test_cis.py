"""The settings that the CIS Kubernetes Benchmark 1.12 names, by its numbers."""

from __future__ import annotations

import io
import re
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import Plex
from plexctl.plan.inputs import Inputs
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.static_pods import static_pods
from plexctl.plan.plan import plan_plex

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "cis.md"
STRONG = set(kubeadm.CIPHER_SUITES)


@pytest.mark.parametrize(
    ("item", "component", "flag", "value"),
    [
        ("1.2.3", "kube-apiserver", "enable-admission-plugins", ".*DenyServiceExternalIPs.*"),
        ("1.2.5", "kube-apiserver", "kubelet-certificate-authority", "/etc/kubernetes/pki/ca.crt"),
        ("1.2.6", "kube-apiserver", "authorization-mode", "Node,RBAC"),
        ("1.2.14", "kube-apiserver", "enable-admission-plugins", ".*NodeRestriction.*"),
        ("1.2.15", "kube-apiserver", "profiling", "false"),
        ("1.2.16", "kube-apiserver", "audit-log-path", "/var/log/.+"),
        ("1.2.17", "kube-apiserver", "audit-log-maxage", "30"),
        ("1.2.18", "kube-apiserver", "audit-log-maxbackup", "10"),
        ("1.2.19", "kube-apiserver", "audit-log-maxsize", "100"),
        ("1.2.29", "kube-apiserver", "tls-cipher-suites", "[A-Z0-9_,]+"),
        ("1.2.30", "kube-apiserver", "service-account-extend-token-expiration", "false"),
        ("1.3.1", "kube-controller-manager", "terminated-pod-gc-threshold", "1000"),
        ("1.3.2", "kube-controller-manager", "profiling", "false"),
        ("1.3.3", "kube-controller-manager", "use-service-account-credentials", "true"),
        ("1.3.7", "kube-controller-manager", "bind-address", "127.0.0.1"),
        ("1.4.1", "kube-scheduler", "profiling", "false"),
        ("1.4.2", "kube-scheduler", "bind-address", "127.0.0.1"),
        ("2.2", "etcd", "client-cert-auth", "true"),
        ("2.5", "etcd", "peer-client-cert-auth", "true"),
        ("3.2.1", "kube-apiserver", "audit-policy-file", "/etc/.+"),
    ],
)
def test_flags(
    demo: Plex, images: dict[str, str], item: str, component: str, flag: str, value: str
) -> None:
    command = static_pods(demo, images)[component]["spec"]["containers"][0]["command"]
    given = [one.partition("=")[2] for one in command if one.startswith(f"--{flag}=")]

    assert len(given) == 1, item
    assert re.fullmatch(value, given[0]), item


def test_cipher_suites_have_forward_secrecy_and_no_cbc(demo: Plex, facts: HostFacts) -> None:
    """1.2.29 and 4.2.12."""
    assert all(re.fullmatch(r"TLS_ECDHE_\w+_(GCM|POLY1305)(_\w+)?", one) for one in STRONG)
    assert set(kubeadm.kubelet_configuration(demo, facts)["tlsCipherSuites"]) == STRONG


def test_kubelets(demo: Plex, facts: HostFacts) -> None:
    """4.2.1 to 4.2.3, 4.2.10, 4.2.13, 4.2.14."""
    found = kubeadm.kubelet_configuration(demo, facts)

    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["authentication"]["x509"]["clientCAFile"] == "/etc/kubernetes/pki/ca.crt"
    assert found["authorization"]["mode"] == "Webhook"
    assert found["rotateCertificates"] is True
    assert found["podPidsLimit"] > 0
    assert found["seccompDefault"] is True


def test_modes_and_owners_of_files(demo: Plex, inputs: Inputs) -> None:
    """1.1.1 to 1.1.21 without 1.1.12, and 4.1.5 to 4.1.10."""
    most = {
        "/etc/cni/net.d/*": 0o600,
        "/etc/kubernetes/*.conf": 0o600,
        "/etc/kubernetes/manifests/*.yaml": 0o600,
        "/etc/plexctl/manifests/*.yaml": 0o600,  # from where they are moved there
        "/etc/kubernetes/pki/*.crt": 0o644,
        "/etc/kubernetes/pki/*.key": 0o600,
        "/var/lib/etcd": 0o700,
        "/var/lib/kubelet/config.yaml": 0o600,
    }
    found = set()
    for instance in plan_plex(demo, inputs).instances:
        with tarfile.open(fileobj=io.BytesIO(instance.boot)) as tar:
            for member in tar:
                for pattern, mode in most.items():
                    if fnmatch(f"/{member.name}", pattern):
                        found.add(pattern)
                        assert member.mode & ~mode == 0, member.name
                        assert (member.uid, member.gid) == (0, 0)
                        assert (member.uname, member.gname) == ("root", "root")

    assert found == set(most)


def test_the_page_has_the_figures_of_the_code() -> None:
    page = PAGE.read_text()
    given = dict(kubeadm.API_SERVER.args)
    threshold = dict(kubeadm.CONTROLLER_MANAGER.args)["terminated-pod-gc-threshold"]

    log = (
        f"{given['audit-log-maxage']} days, {given['audit-log-maxbackup']} files, "
        f"{given['audit-log-maxsize']} MB"
    )
    assert log in page
    assert f"at most {kubeadm.POD_PIDS} processes" in page
    assert f"more than {threshold}" in page
