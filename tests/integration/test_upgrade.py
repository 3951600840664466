"""A plex is upgraded while apps run in it; upgrades fail and are killed, and are undone.

`PLEXCTL_KILLS` is five times the number of rounds of kills; without it there is one kill in each of
some phases. The upgrade from the minor version before runs where the depot has that version, or
`PLEXCTL_BUILD_OLDER` lets it be built.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plexctl.depot.pins import load_pins

from .support import Cluster, Lab, delete_plex_objects, host, host_state, stored_kubectl

PLEX = "upstory"
MASTER, WORKER = f"{PLEX}1", f"{PLEX}2"
FILE = """\
workers: 1
networks: {nodes: 10.79.30.0/24, pods: 10.188.0.0/16, services: 10.103.176.0/20}
"""
PINS = load_pins()
NEWEST = PINS.versions()[0]
MINOR = int(NEWEST.split(".")[1])
OLDER = next(one for one in PINS.versions() if int(one.split(".")[1]) == MINOR - 1)
ROUNDS = max(1, int(os.environ.get("PLEXCTL_KILLS", "5")) // 5)
SOAK = "PLEXCTL_KILLS" in os.environ
PHASES = ("snapshot", "masters", f"workers {WORKER}", "cleanup")
"""In which plexctl is killed; the soak test kills it in all of them."""
PAUSE = {
    "name": "pause",
    "image": PINS.release(NEWEST).images["pause"],
    "imagePullPolicy": "IfNotPresent",
}


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A workload whose pods may run on masters too: there they are while a worker is away."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [PAUSE],
            "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
            "terminationGracePeriodSeconds": 0,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


OBJECTS: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ships.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "ships", "singular": "ship", "kind": "Ship"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "word", "namespace": "default"},
        "stringData": {"word": "swordfish"},
    },
    workload("Deployment", "web", replicas=2),
    workload("StatefulSet", "data", replicas=1, serviceName="data"),
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    },
)


@dataclass(frozen=True)
class Story:
    lab: Lab
    cluster: Cluster

    @property
    def file(self) -> Path:
        return self.lab.root / "clusters" / PLEX / "plex.yaml"

    @property
    def record(self) -> Path:
        return self.lab.root / ".plexctl" / "plexes" / PLEX / "unfinished.json"

    def want(self, mebibytes: int) -> None:
        """Let all nodes have another size: that replaces them."""
        more = f"groups:\n  - {{nodes: 1-2, size: {{memory: {mebibytes}MiB}}}}\n"
        self.file.write_text(FILE + more)

    def require_intact(self) -> None:
        """Everything that was in the cluster is there, and runs."""
        secret = self.cluster.get("secret", "word")
        assert secret["data"] == {"word": "c3dvcmRmaXNo"}
        assert self.cluster.get("ship", "one")["spec"] == {"masts": 3}
        assert self.cluster.get("pdb", "web")["spec"]["maxUnavailable"] == 1
        for kind, name in (("deployment", "web"), ("statefulset", "data")):
            self.cluster.run("rollout", "status", f"{kind}/{name}", "--timeout=90s")
        assert self.cluster.ready() == {MASTER, WORKER}

    def require_nothing_left(self) -> None:
        names = {name for name in host_state().instances if name.startswith(PLEX)}
        assert names == {MASTER, WORKER}
        assert not self.record.exists()
        assert self.lab.ask("snapshot", "list", "--plex", PLEX)["snapshots"] == []

    def phases(self, state: str) -> list[str]:
        """The phases in the journal of the last upgrade."""
        journals = (self.lab.root / ".plexctl" / "runs").glob(f"*-upgrade-{PLEX}.jsonl")
        lines = max(journals).read_text().splitlines() if journals else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [one["phase"] for one in found if one.get("state") == state]

    def kill_in(self, phase: str) -> bool:
        """Begin an upgrade and kill it in a phase; whether it was reached."""
        process = self.lab.start("upgrade", PLEX, "-q")
        began = time.time()
        while process.poll() is None:
            recent = [
                one
                for one in (self.lab.root / ".plexctl" / "runs").glob(f"*-upgrade-{PLEX}.jsonl")
                if one.stat().st_mtime >= began
            ]
            if recent and f'"phase": "{phase}", "state": "began"' in recent[-1].read_text():
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        return process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    lab.run("up", PLEX, timeout=3600)
    kubeconfig = lab.root / ".plexctl" / "plexes" / PLEX / "kubeconfig"
    cluster = Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig)
    fill(cluster)
    yield Story(lab, cluster)
    lab.run("destroy", PLEX, "-y")


def fill(cluster: Cluster) -> None:
    for one in OBJECTS:
        cluster.run("apply", "-f", "-", stdin=json.dumps(one))
    cluster.run("wait", "--for=condition=Established", "crd/ships.example.org", "--timeout=60s")
    ship = {
        "apiVersion": "example.org/v1",
        "kind": "Ship",
        "metadata": {"name": "one", "namespace": "default"},
        "spec": {"masts": 3},
    }
    cluster.run("apply", "-f", "-", stdin=json.dumps(ship))
    cluster.run("rollout", "status", "deployment/web", "--timeout=90s")


def uuids() -> dict[str, str]:
    nodes = host_state().instances.items()
    return {name: one.uuid for name, one in nodes if name in (MASTER, WORKER)}


def test_up_refuses_to_replace_a_cluster_without_consent(story: Story) -> None:
    before = uuids()
    story.want(3000)
    plan = json.loads(story.lab.run("plan", PLEX, "--json", code=3).out)
    assert "loses all its objects and data" in plan["loss"]
    refused = story.lab.run("up", PLEX, code=2)
    assert f"plexctl upgrade {PLEX}" in refused.err
    assert uuids() == before


def test_a_changed_setting_is_rolled_out_and_the_cluster_stays(story: Story) -> None:
    before = uuids()
    steps = json.loads(story.lab.run("plan", PLEX, "--upgrade", "--json", code=3).out)["steps"]
    assert steps[0] == "take a snapshot of all 2 nodes"

    answer = story.lab.ask("upgrade", PLEX)

    print(f"upgraded after {answer['seconds']}")
    assert answer["replaced"] == [MASTER, WORKER]
    assert not set(uuids().values()) & set(before.values())
    story.require_intact()
    story.require_nothing_left()
    assert story.lab.ask("up", PLEX)["changes"] == []
    assert story.lab.run("upgrade", PLEX).out.startswith(f"{PLEX}: nothing to upgrade")
    manifests = host().execute(MASTER, ("ls", "/etc/kubernetes/manifests")).stdout.split()
    assert len(manifests) == 4, "the controllers run"


def test_a_node_that_never_becomes_ready_brings_everything_back(story: Story) -> None:
    before, text = uuids(), story.file.read_text()
    # kubelet refuses to start: the policy needs a processor that is reserved.
    story.file.write_text(
        FILE + "groups:\n  - {nodes: 1-2, size: {memory: 3000MiB}}\n"
        "  - {nodes: 2, kubelet: {cpuManagerPolicy: static}}\n"
    )
    began = time.monotonic()
    failed = story.lab.run("upgrade", PLEX, code=1)
    print(f"failed and undone after {time.monotonic() - began:.1f} s")

    assert "everything is as before" in failed.err
    assert uuids() == before
    story.require_intact()
    story.require_nothing_left()
    story.file.write_text(text)
    assert story.lab.ask("up", PLEX)["changes"] == []


def test_a_failed_upgrade_can_be_looked_at(story: Story) -> None:
    before, text = uuids(), story.file.read_text()
    story.file.write_text(
        FILE + "groups:\n  - {nodes: 1-2, size: {memory: 3000MiB}}\n"
        "  - {nodes: 2, kubelet: {cpuManagerPolicy: static}}\n"
    )
    story.lab.run("upgrade", PLEX, "--no-rollback", code=1)
    assert host_state().instances[f"{WORKER}-before"].status == "Stopped"
    assert "kubelet" in story.lab.run("logs", WORKER, "--unit", "kubelet").out

    story.file.write_text(text)
    undone = story.lab.run("up", PLEX)
    assert "was interrupted: it is undone" in undone.err
    assert uuids() == before
    story.require_intact()
    story.require_nothing_left()


@pytest.mark.parametrize("phase", PHASES)
def test_the_next_run_undoes_or_completes_a_killed_upgrade(story: Story, phase: str) -> None:
    for number in range(ROUNDS):
        before, text = uuids(), story.file.read_text()
        story.want(2900 - 10 * number if "2900" not in text else 3100 + 10 * number)
        assert story.kill_in(phase), "it was killed in this phase"
        if phase == "cleanup":
            answer = story.lab.run("up", PLEX)
            assert "all nodes are new" in answer.err
            assert not set(uuids().values()) & set(before.values())
        else:
            story.file.write_text(text)
            answer = story.lab.run("up", PLEX)
            assert "was interrupted: it is undone" in answer.err
            assert uuids() == before
        story.require_intact()
        story.require_nothing_left()
        assert story.lab.ask("plan", PLEX)["changes"] == []


OLD = "upolder"
OLD_FILE = f"""\
kubernetes: "1.{MINOR - 1}"
workers: 2
networks: {{nodes: 10.79.31.0/24, pods: 10.187.0.0/16, services: 10.103.192.0/20}}
"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Cluster]]:
    """A plex of the minor version before the newest one."""
    delete_plex_objects(OLD)
    lab = Lab(tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("home"))
    lab.run("init", OLD)
    rows = lab.ask("versions")["versions"]
    stored = next(one["stored"] for one in rows if one["version"] == OLDER)
    if not stored and "PLEXCTL_BUILD_OLDER" not in os.environ:
        pytest.skip(f"the depot lacks Kubernetes {OLDER}; `bin/test soak` builds it")
    (lab.root / "clusters" / OLD / "plex.yaml").write_text(OLD_FILE)
    lab.run("up", OLD, timeout=3600)
    kubeconfig = lab.root / ".plexctl" / "plexes" / OLD / "kubeconfig"
    cluster = Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig)
    fill(cluster)
    yield lab, cluster
    lab.run("destroy", OLD, "-y", code=None)


def test_a_plex_goes_to_the_next_minor_version(older: tuple[Lab, Cluster]) -> None:
    lab, cluster = older
    minor = NEWEST.rpartition(".")[0]

    answer = lab.ask("upgrade", OLD, "--to", minor)

    print(f"upgraded to {minor} after {answer['seconds']}")
    assert (answer["before"], answer["kubernetes"]) == (OLDER, NEWEST)
    assert {node["version"] for node in answer["nodes"]} == {f"v{NEWEST}"}
    assert f'kubernetes: "{minor}"' in (lab.root / "clusters" / OLD / "plex.yaml").read_text()
    data = cluster.get("configmap", "kubeadm-config", "-n", "kube-system")["data"]
    assert f"kubernetesVersion: v{NEWEST}" in data["ClusterConfiguration"]
    pods = cluster.get("pods", "-n", "kube-system")["items"]
    used = {c["image"] for pod in pods for c in pod["spec"]["containers"]}
    images = PINS.release(NEWEST).images
    assert used == set(images.values()) - {images["pause"]}
    assert cluster.get("secret", "word")["data"] == {"word": "c3dvcmRmaXNo"}
    cluster.run("rollout", "status", "deployment/web", "--timeout=90s")
    assert lab.ask("up", OLD)["changes"] == []
