"""The state of a plex after its first `up`."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plexctl.model.types import Form

from ..conftest import ECHO
from ..support import PLEXCTL, Cluster, Lab, eventually, host, host_state, uptime

NODES = {"lifecycle1", "lifecycle2", "lifecycle3"}


def test_up_brings_three_ready_nodes_and_dns(lifecycle: Lab, cluster: Cluster) -> None:
    status = lifecycle.ask("status", "lifecycle")

    assert cluster.ready() == NODES
    assert status["healthy"] is True
    assert status["dns"] == "available"
    assert {node["name"] for node in status["nodes"]} == NODES


def test_a_second_up_changes_nothing(lifecycle: Lab) -> None:
    before = {name: uptime(name) for name in NODES}

    again = lifecycle.ask("up", "lifecycle")

    assert again["changes"] == []
    assert {name: uptime(name) for name in NODES} == before
    assert "nothing to do" in lifecycle.run("plan", "lifecycle").out


def test_the_timeline_of_up_has_every_step_of_every_node_in_order(lifecycle: Lab) -> None:
    line = lifecycle.ask("timeline", first_up(lifecycle))

    assert (line["verb"], line["ending"], line["details"]) == ("up", "done", True)
    assert line["notes"] == []
    assert {node["name"] for node in line["nodes"]} == NODES
    for node in line["nodes"]:
        at = {one["name"]: one["at"] for one in node["instants"]}
        made = [at[what] for what in ("creating", "created", "pushed", "starting", "started")]
        inside = [at[what] for what in ("starting", "init", "booted", "containerd", "kubelet")]
        seen = [at[what] for what in ("kubelet", "registered", "ready")]
        for life in (made, inside, seen):
            assert life == sorted(life), node
        assert "kube-proxy" in {one["name"] for one in node["containers"]}
        assert 0 < at["creating"] < at["ready"] <= line["seconds"]
    master = {one["name"]: one["at"] for one in line["nodes"][0]["instants"]}
    assert "rbac" not in master  # the API has its roles from the beginning
    assert master["kubelet"] < master["api"] < master["kubeadm"]
    assert master["api"] < master["dns"] <= line["seconds"]
    for step in line["steps"]:
        assert 0 <= step["began"] <= step["ended"] <= line["seconds"]


def test_the_timeline_is_drawn_and_written(lifecycle: Lab) -> None:
    run, svg, html = first_up(lifecycle), lifecycle.root / "up.svg", lifecycle.root / "up.html"

    assert lifecycle.run("timeline", run, "--svg", str(svg), "--html", str(html)).out == ""

    titles = " ".join(one.text or "" for one in ET.parse(svg).iter() if one.tag.endswith("title"))
    assert all(f"{node} booting:" in titles for node in NODES)
    assert "</html>" in html.read_text()
    text = lifecycle.run("timeline", run).out
    assert "BOOTED CONTAINERD KUBELET REGISTERED READY" in text
    assert "DNS answers" in text


def test_pods_on_two_nodes_answer_a_third_by_name(
    lifecycle: Lab, cluster: Cluster, echo: Callable[[str], None]
) -> None:
    for node in NODES:
        echo(node)
    cluster.run("apply", "-f", "-", stdin=json.dumps(web()))
    cluster.run("rollout", "status", "deployment/web", "--timeout=90s")
    pods = cluster.get("pods", "-l", "app=web")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"lifecycle2", "lifecycle3"}

    cluster.run("apply", "-f", "-", stdin=json.dumps(asking("lifecycle1")))
    eventually("the asking pod has ended", lambda: phase(cluster, "asking") == "Succeeded")

    answers = set(cluster.run("logs", "asking").split())
    assert answers == {pod["metadata"]["name"] for pod in pods}


KINDS = "configmaps,daemonsets,deployments,replicasets,roles,rolebindings,serviceaccounts,services"


def system_objects(cluster: Cluster) -> dict[str, str]:
    """The UID of each object of KINDS in kube-system."""
    found = cluster.get(KINDS, "-n", "kube-system")["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["uid"] for one in found}


def system_pods(cluster: Cluster) -> set[str]:
    found = cluster.get("pods", "-n", "kube-system")["items"]
    return {one["metadata"]["name"] for one in found}


def test_kubeadm_and_kubectl_find_nothing_to_create(lifecycle: Lab, cluster: Cluster) -> None:
    """A cluster that was born complete is one that kubeadm's own addons and `kubectl apply` fit.

    Before `kubeadm upgrade node`, which applies its addons without plexctl's patch of CoreDNS.
    """
    objects, pods = system_objects(cluster), system_pods(cluster)
    kubeadm = ("kubeadm", "init", "phase", "addon", "all", "--config=/etc/plexctl/kubeadm.yaml")

    added = host().execute("lifecycle1", kubeadm, timeout=120)

    assert added.code == 0, added
    for one in cluster.get("daemonsets,deployments,services", "-n", "kube-system")["items"]:
        del one["metadata"]["resourceVersion"]  # controllers write the status all the time
        cluster.run("apply", "-f", "-", stdin=json.dumps(one))
    assert system_objects(cluster) == objects
    assert system_pods(cluster) == pods
    version = cluster.get("node", "lifecycle1")["status"]["nodeInfo"]["kubeletVersion"]
    planned = host().execute("lifecycle1", ("kubeadm", "upgrade", "plan", version), timeout=120)
    assert planned.code == 0, planned


def test_nodes_are_true_kubeadm_nodes(lifecycle: Lab, cluster: Cluster) -> None:
    incus = host()

    certificates = incus.execute("lifecycle1", ("kubeadm", "certs", "check-expiration"))
    assert certificates.code == 0, certificates
    missing = [line for line in certificates.stdout.splitlines() if "MISSING" in line]
    assert [line.split()[1] for line in missing] == ["super-admin.conf"]

    upgrade = ["kubeadm", "upgrade", "node"]
    if host().facts().cgroup == 1:  # which kubeadm wants to be titles twice
        upgrade.append("--ignore-preflight-errors=SystemVerification")
    for node in ("lifecycle1", "lifecycle2"):
        upgraded = incus.execute(node, tuple(upgrade), timeout=300)
        assert upgraded.code == 0, upgraded
    eventually("all nodes are Ready", lambda: cluster.ready() == NODES)
    labels = cluster.get("node", "lifecycle1")["metadata"]["labels"]
    assert "node-role.kubernetes.io/control-plane" in labels
    assert cluster.get("cm", "-n", "kube-system", "kubeadm-config")["data"]["ClusterConfiguration"]


def exec_on(lab: Lab, node: str) -> tuple[str, ...]:
    own = f"XDG_CONFIG_HOME={lab.home}"
    return ("env", own, *lab.command, "-C", str(lab.root), "exec", node)


def test_exec_passes_bytes_and_exit_codes(lifecycle: Lab) -> None:
    def run(*argv: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        words = [*exec_on(lifecycle, "lifecycle2"), *argv]
        return subprocess.run(words, input=given, capture_output=True, timeout=120)

    content = bytes(range(256)) * 200_000  # 51 MB
    passed = run("--", "cat", given=content)
    assert (passed.returncode, passed.stderr, passed.stdout == content) == (0, b"", True)
    missing = run("--", "no-such-program")
    assert (missing.returncode, missing.stderr) == (127, b"no-such-program: Command not found\n")
    assert run("--", "/etc/passwd").returncode == 126
    assert run("--", "sh", "-c", "kill -9 $$").returncode == 137
    late = run("--timeout", "1", "--", "sleep", "60")
    assert (late.returncode, b"it did not end within 1 s" in late.stderr) == (1, True)


def test_exec_in_a_terminal_has_its_size(lifecycle: Lab) -> None:
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    before = termios.tcgetattr(far)
    words = [*exec_on(lifecycle, "lifecycle2"), "--", "sh", "-c"]
    with subprocess.Popen(
        [*words, "stty size; read word; echo got $word; exit 5"], stdin=far, stdout=far
    ) as program:
        shown = b""
        while b"33 77" not in shown:
            shown += os.read(near, 1024)
        os.write(near, b"words\n")
        while b"got words" not in shown:
            shown += os.read(near, 1024)
        assert program.wait(30) == 5
    assert termios.tcgetattr(far) == before
    os.close(near)
    os.close(far)


def test_kubelets_show_certificates_of_the_cluster(lifecycle: Lab, cluster: Cluster) -> None:
    """The API server asks a kubelet for logs only where it can check whom it talks to."""
    pods = cluster.get("pods", "-n", "kube-system", "-l", "k8s-app=kube-proxy")["items"]

    for pod in pods:
        assert cluster.run("logs", "-n", "kube-system", pod["metadata"]["name"])
    arguments = cluster.get("pod", "-n", "kube-system", "kube-apiserver-lifecycle1")
    command = arguments["spec"]["containers"][0]["command"]
    assert "--kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt" in command


def test_services_work_after_kube_proxy_was_restarted(lifecycle: Lab, cluster: Cluster) -> None:
    """A new kube-proxy finds the rules of the old one, and recognises them as its own."""
    selector = ("-n", "kube-system", "-l", "k8s-app=kube-proxy")
    old = {pod["metadata"]["uid"] for pod in cluster.get("pods", *selector)["items"]}
    cluster.run("delete", "pods", *selector, "--wait=true")

    def restarted() -> bool:
        pods = cluster.get("pods", *selector)["items"]
        ready = [
            one["status"] == "True"
            for pod in pods
            for one in pod["status"].get("conditions", ())
            if one["type"] == "Ready"
        ]
        return len(ready) == len(NODES) and all(ready) and not old & uids(pods)

    def uids(pods: list[dict[str, Any]]) -> set[str]:
        return {pod["metadata"]["uid"] for pod in pods}

    def synced() -> bool:
        """The last sync of each node is later than its start: its metrics say so."""
        metrics = "http://127.0.0.1:10249/metrics"
        script = f"import urllib.request as u; print(u.urlopen({metrics!r}).read().decode())"
        return all(
            "sync_proxy_rules_duration_seconds_count"
            in host().execute(name, ("python3", "-c", script)).stdout
            for name in NODES
        )

    eventually("every node has a new kube-proxy", restarted)
    eventually("it has written its rules", synced)
    dns = cluster.get("service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    for name in NODES:
        rules = host().execute(name, ("nft", "list", "map", "ip", "kube-proxy", "service-ips"))
        assert rules.code == 0, rules
        assert rules.stdout.count(f"{dns} . ") == 3, rules.stdout  # TCP, UDP and metrics


def test_the_audit_log_has_no_bodies(lifecycle: Lab, cluster: Cluster) -> None:
    cluster.run("create", "secret", "generic", "canary", "--from-literal=word=sesame-4711")

    eventually("the audit log tells of the secret", lambda: "canary" in audit_log())
    assert "sesame-4711" not in audit_log()
    assert "c2VzYW1lLTQ3MTE" not in audit_log()  # base64 of it


def test_the_audit_log_has_exec_and_port_forward_and_calls_through_the_api(
    cluster: Cluster,
) -> None:
    pod = cluster.get("pods", "-l", "app=web")["items"][0]["metadata"]["name"]

    cluster.run("exec", pod, "--", "/echo", "get", "http://web.default.svc.cluster.local/")
    forward = subprocess.Popen(
        [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "port-forward", pod, ":8080"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert forward.stdout is not None
        port = forward.stdout.readline().split(" ->")[0].rpartition(":")[2]
        socket.create_connection(("127.0.0.1", int(port)), timeout=60).close()
    finally:
        forward.terminate()
        forward.wait(60)
    cluster.run("get", "--raw", "/api/v1/nodes/lifecycle2/proxy/healthz")

    def entries() -> set[tuple[str, str, str]]:
        lines = [line for line in audit_log().splitlines() if line.endswith("}")]
        objects = [json.loads(line).get("objectRef", {}) for line in lines]
        return {
            (one["resource"], one["subresource"], one.get("name", ""))
            for one in objects
            if "subresource" in one
        }

    expected = {
        ("pods", "exec", pod),
        ("pods", "portforward", pod),
        ("nodes", "proxy", "lifecycle2"),
    }
    eventually("the audit log has all three", lambda: expected <= entries())


def test_no_bootstrap_token_and_no_super_admin_is_left_on_the_master(cluster: Cluster) -> None:
    listed = (
        host()
        .execute("lifecycle1", ("sh", "-c", "grep -rlE 'token: ' /etc/plexctl; ls /etc/kubernetes"))
        .stdout.split()
    )
    assert "kubeadm.yaml" not in " ".join(listed)
    assert "admin.conf" in listed
    assert "super-admin.conf" not in listed

    def tokens() -> list[object]:
        secrets = cluster.get("secrets", "-n", "kube-system")["items"]
        return [one for one in secrets if one["type"] == "bootstrap.kubernetes.io/token"]

    # A token of kubeadm lives for a minute, and the controller deletes it soon after that.
    eventually("no token is left", lambda: not tokens(), seconds=150)


def test_files_of_nodes_have_the_modes_that_cis_names() -> None:
    for node, path in [
        ("lifecycle1", "/etc/kubernetes/admin.conf"),
        ("lifecycle1", "/etc/kubernetes/manifests/kube-apiserver.yaml"),
        ("lifecycle1", "/etc/kubernetes/manifests/kube-scheduler.yaml"),
        *(
            (node, path)
            for node in ("lifecycle1", "lifecycle2")
            for path in (
                "/etc/cni/net.d/10-plex.conflist",
                "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",
                "/var/lib/kubelet/config.yaml",
                "/etc/kubernetes/kubelet.conf",
            )
        ),
    ]:
        shown = host().execute(node, ("stat", "-c", "%a %U:%G", path)).stdout
        assert shown.strip() == "600 root:root", path


def test_a_pod_without_a_profile_has_that_of_the_runtime(cluster: Cluster) -> None:
    """A container of Incus has a filter of its own: the pod has one more."""
    pod = cluster.get("pods", "-l", "app=web")["items"][0]
    status = "grep ^Seccomp_filters: /proc/1/status /proc/$(pidof -s echo)/status"

    shown = host().execute(pod["spec"]["nodeName"], ("sh", "-c", status)).stdout.split()

    assert int(shown[3]) == int(shown[1]) + 1, shown


def test_a_foreign_machine_joins_with_kubeadm(lifecycle: Lab, cluster: Cluster) -> None:
    """A machine that plexctl knows nothing of, made from the same image by hand."""
    incus = host()
    image = host_state().instances["lifecycle2"].image
    token = incus.execute(
        "lifecycle1", ("kubeadm", "token", "create", "--print-join-command")
    ).stdout
    devices = (("eth0", (("name", "eth0"), ("network", "plex-lifecycle"), ("type", "nic"))),)
    try:
        incus.instances.create(
            "foreign",
            image=image,
            form=Form.CONTAINER,
            profiles=("plex-lifecycle-kube",),
            config=(),
            devices=devices,
        )
        incus.start("foreign")
        eventually(
            "containerd runs",
            lambda: (
                incus.execute("foreign", ("test", "-S", "/run/containerd/containerd.sock")).code
                == 0
            ),
        )
        gateway = address_of("lifecycle1").rsplit(".", 1)[0]
        script = (
            f"ip link set eth0 up; ip address add {gateway}.250/24 dev eth0;"
            f"ip route add default via {gateway}.1;"
            f"{token.strip()} --ignore-preflight-errors=all"
        )
        joined = incus.execute("foreign", ("sh", "-c", script), timeout=180)
        assert joined.code == 0, joined
        eventually("it is registered", lambda: "foreign" in cluster.run("get", "nodes"))
        assert "joined by itself" in lifecycle.run("status", "lifecycle", code=None).out
    finally:
        incus.delete_instance("foreign")
        cluster.run("delete", "node", "foreign", "--ignore-not-found")


def test_ssh_knows_every_node(lifecycle: Lab) -> None:
    config = lifecycle.root / ".plexctl" / "plexes" / "lifecycle" / "ssh_config"

    for node in NODES:
        words = ["ssh", "-F", str(config), "-o", "BatchMode=yes", node, "hostname"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout.strip() == node, done.stderr
    assert lifecycle.run("ssh", "lifecycle2", "--", "hostname").out.strip() == "lifecycle2"
    assert lifecycle.run("exec", "lifecycle3", "--", "hostname").out.strip() == "lifecycle3"
    assert lifecycle.run("exec", "lifecycle3", "--", "sh", "-c", "exit 7", code=7).out == ""
    assert "kubelet" in lifecycle.run("logs", "lifecycle2", "--unit", "kubelet").out


def test_ansible_reaches_every_node(lifecycle: Lab) -> None:
    script = lifecycle.root / "inventory"
    script.write_text(f'#!/bin/sh\nexec {PLEXCTL} -C {lifecycle.root} inventory "$@"\n')
    script.chmod(0o755)
    ansible = Path(sys.executable).parent / "ansible"
    done = subprocess.run(
        [ansible, "-i", str(script), "lifecycle", "-m", "ansible.builtin.ping"],
        env={**os.environ, "XDG_CONFIG_HOME": str(lifecycle.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.count("SUCCESS") == len(NODES), done.stdout + done.stderr


def test_no_secret_is_where_others_can_see_it(lifecycle: Lab) -> None:
    kubeconfig = lifecycle.root / ".plexctl" / "plexes" / "lifecycle" / "kubeconfig"
    key = next(
        line.split()[1] for line in kubeconfig.read_text().splitlines() if "client-key-data" in line
    )
    assert kubeconfig.stat().st_mode & 0o077 == 0
    words = ["incus", "query", "/1.0/instances?recursion=2"]
    instances = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
    journals = "".join(
        path.read_text() for path in (lifecycle.root / ".plexctl/runs").glob("*.jsonl")
    )

    assert "lifecycle1" in instances
    assert "lifecycle1" in journals
    for place in (instances, journals):
        assert key[:40] not in place
        assert "PRIVATE KEY" not in place


def first_up(lab: Lab) -> str:
    """The run that made `lifecycle`."""
    rows = lab.ask("timeline", "--list", "--plex", "lifecycle")["runs"]
    return next(str(row["run"]) for row in rows if row["verb"] == "up")


def web() -> dict[str, object]:
    labels = {"app": "web"}
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        "containers": [{"name": "web", "image": ECHO, "imagePullPolicy": "Never"}],
        "topologySpreadConstraints": [spread],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [deployment, service]}


def asking(node: str) -> dict[str, object]:
    container = {
        "name": "asking",
        "image": ECHO,
        "imagePullPolicy": "Never",
        "args": ["get", "http://web.default.svc.cluster.local/"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asking"},
        "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container]},
    }


def phase(cluster: Cluster, pod: str) -> str:
    return str(cluster.get("pod", pod)["status"]["phase"])


def audit_log() -> str:
    return host().instances.pull("lifecycle1", "/var/log/kubernetes/audit/audit.log").decode()


def address_of(node: str) -> str:
    shown = host().execute(node, ("ip", "-4", "-o", "address", "show", "eth0")).stdout
    return shown.split("inet ")[1].split("/")[0]
