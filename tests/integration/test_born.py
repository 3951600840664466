"""A cluster that is born complete is the cluster that kubeadm and the controllers make."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins

from .app_engines import engines, with_engines
from .both_ways import Objects, all_at_rest, bear, differences, grow, objects
from .support import CHECKOUT, Cluster, Lab, eventually, stored_kubectl

PLEX, ALONE = "birth", "birthalone"
SETTINGS = {
    PLEX: """\
kubernetes: "1.36"
workers: 2
domain: birth.example
dns: {replicas: 2}
networks: {nodes: 10.79.4.0/24, pods: 10.193.0.0/16, services: 10.103.48.0/20}
kubeadm:
  cluster:
    apiServer: {extraArgs: [{name: event-ttl, value: 2h}]}
    controllerManager: {extraArgs: [{name: node-monitor-period, value: 4s}]}
    scheduler: {extraArgs: [{name: kube-api-qps, value: "60"}]}
  proxy: {nodePortAddresses: [primary], nftables: {minSyncPeriod: 2s}}
groups:
  - {nodes: "2", labels: {disk: fast}}
  - {nodes: "3", taints: ["only=tests:NoSchedule"], kubelet: {maxPods: 17}}
""",
    ALONE: """\
kubernetes: "1.36"
workers: 0
networks: {nodes: 10.79.10.0/24, pods: 10.199.0.0/16, services: 10.103.144.0/20}
""",
}

WRONG_CA = """\
import base64

from plexctl.plan.genesis import compose, holes

right = compose.plex_values


def wrong(plex, keys):
    values = right(plex, keys)
    other = values["front_proxy_ca"].encode()
    return {
        **values,
        "ca.base64": base64.b64encode(other).decode(),
        "front_proxy_ca": values["ca"],
    }


compose.plex_values = wrong

from plexctl.cli.main import main

main()
"""
"""A plexctl that fills holes with the certificates of other CAs: nothing repairs them."""

CONFIG_MAPS = "/registry/configmaps"
WRONG = {
    f"{CONFIG_MAPS}/kube-public/cluster-info": "kubeconfig",
    f"{CONFIG_MAPS}/kube-system/extension-apiserver-authentication": "requestheader-client-ca-file",
}
"""The fields with the two holes, by the keys of their objects."""

NOTICED = 75
"""Seconds until a client notices that its connection is dead: client-go asks after 30 s and waits
for 15 s."""

LISTS = 4
"""How often a client may get a list of all objects of a kind, before and after its cluster was
replaced. Attempts that are refused do not count: how many there are before the new API answers
depends on the machine."""


@dataclass
class Watchers:
    """Clients that watch a cluster: an informer of client-go, and kubectl."""

    informer: subprocess.Popen[str]
    kubectl: subprocess.Popen[str]
    folder: Path  # with what they write
    cluster: Cluster
    before: dict[str, str] = field(default_factory=dict)  # UID of each namespace

    @property
    def seen(self) -> list[dict[str, Any]]:
        """What the informer has written so far."""
        whole = (self.folder / "informer").read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def namespaces(self) -> dict[str, str]:
        """The UID of each namespace, as the informer knows them."""
        known: dict[str, str] = {}
        for line in self.seen:
            match line:
                case {"event": "delete", "namespace": "", "name": name}:
                    known.pop(name, None)
                case {"event": str(), "namespace": "", "name": name, "uid": uid}:
                    known[name] = uid
        return known

    def noticed(self) -> bool:
        """Whether the informer knows no namespace of the old cluster any more."""
        return not set(self.namespaces().values()) & set(self.before.values())

    def lists(self, path: str) -> int:
        """How often the informer got a list of all objects of a kind."""
        return sum(
            1
            for line in self.seen
            if line.get("request") == path and line["list"] and line["status"] == HTTPStatus.OK
        )

    def stop(self) -> None:
        for program in (self.informer, self.kubectl):
            program.kill()
            program.communicate()


@dataclass(frozen=True)
class Clusters:
    """Every object of each plex, grown and born, and clients that watched when it was replaced."""

    grown: dict[str, Objects]
    born: dict[str, Objects]
    watchers: dict[str, Watchers]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    for plex in SETTINGS:
        lab.run("init", plex)
    yield lab
    for plex in SETTINGS:
        lab.run("destroy", plex, "-y")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kubectl and the program `informer`, on the client-go that the depot builds."""
    folder = tmp_path_factory.mktemp("tools")
    stored_kubectl(folder)
    module = folder / "module"
    shutil.copytree(CHECKOUT / "plexctl" / "pins" / "kubernetes", module)
    shutil.copy(Path(__file__).parent / "informer" / "main.go", module)
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-o", folder / "informer", "main.go"],
        cwd=module,
        env={**os.environ, **settings, "GOWORK": "off"},
        check=True,
        timeout=1800,
    )
    return folder


@pytest.fixture(scope="module")
def watch(
    lab: Lab, tools: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Watchers]]:
    """Begins to watch a plex; returns when the informer knows all of its objects."""
    begun: list[Watchers] = []

    def start(plex: str) -> Watchers:
        folder = tmp_path_factory.mktemp("watchers")
        kubeconfig = str(folder / "kubeconfig")
        lab.run("kubeconfig", plex, "--output", kubeconfig)
        words = ("get", "namespaces", "--watch", "--output-watch-events", "--output", "json")
        commands = {
            "informer": (tools / "informer", kubeconfig),
            "kubectl": (tools / "kubectl", "--kubeconfig", kubeconfig, *words),
        }
        programs = {}
        for name, command in commands.items():
            with (folder / name).open("w") as out, (folder / f"{name}.err").open("w") as err:
                programs[name] = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True
                )
        watchers = Watchers(
            programs["informer"],
            programs["kubectl"],
            folder,
            Cluster(tools / "kubectl", Path(kubeconfig)),
        )
        begun.append(watchers)
        eventually("the informer is synced", lambda: {"synced": True} in watchers.seen)
        shown = folder / "kubectl"
        eventually("kubectl shows namespaces", lambda: "kube-system" in shown.read_text())
        watchers.before = watchers.namespaces()
        assert "kube-system" in watchers.before
        return watchers

    yield start
    for one in begun:
        one.stop()


@pytest.fixture(scope="module")
def clusters(lab: Lab, tools: Path, watch: Callable[[str], Watchers]) -> Clusters:
    """Both ways of each plex, and of the engines of apps. While they came to rest, clients watched.

    Those of the one have begun when it was grown, those of the other when it was born.
    """
    grow(lab, SETTINGS)
    apply_engines(lab, tools)
    grown = all_at_rest(lab, SETTINGS)
    watchers = {PLEX: watch(PLEX)}
    bear(lab, {PLEX: SETTINGS[PLEX]})
    bear(with_engines(lab), {ALONE: SETTINGS[ALONE]})
    watchers[ALONE] = watch(ALONE)
    with_engines(lab).run("replace", "master", "-y", "--plex", ALONE)
    return Clusters(grown, all_at_rest(lab, SETTINGS), watchers)


def apply_engines(lab: Lab, tools: Path) -> None:
    """Apply to `birthalone` what it is born with later."""
    kubeconfig = lab.root / "kubeconfig"
    lab.run("kubeconfig", ALONE, "--output", str(kubeconfig))
    documents = engines(load_lab(lab.root, load_pins().versions()).plexes[ALONE])
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    words = ("apply", "--server-side", "--field-manager=plexctl", "-f", "-")
    Cluster(tools / "kubectl", kubeconfig).run(*words, stdin=json.dumps(listed))


@pytest.fixture(scope="module")
def faulty(lab: Lab, clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """The objects of a new `birthalone` that a plexctl with a fault has created."""
    program = tmp_path_factory.mktemp("program") / "wrong_ca.py"
    program.write_text(WRONG_CA)
    command, path = (sys.executable, str(program)), {"PYTHONPATH": str(CHECKOUT)}
    Lab(lab.root, lab.home, command, path).run("replace", "master", "-y", "--plex", ALONE)
    return objects(lab, ALONE)


@pytest.mark.parametrize("plex", SETTINGS)
def test_both_ways_lead_to_the_same_objects(clusters: Clusters, plex: str) -> None:
    found = differences(clusters.grown[plex], clusters.born[plex])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("plex", SETTINGS)
def test_clients_notice_that_the_cluster_was_replaced(clusters: Clusters, plex: str) -> None:
    watchers = clusters.watchers[plex]
    eventually("the informer knows the new cluster", watchers.noticed, seconds=NOTICED)

    now = {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for one in watchers.cluster.get("namespaces")["items"]
    }
    assert now.keys() == watchers.before.keys()
    assert watchers.namespaces() == now
    for path in ("/api/v1/namespaces", "/api/v1/pods"):
        assert 1 < watchers.lists(path) <= LISTS, watchers.seen
    # kubectl never watches again by itself: it must end, and have shown the old cluster only.
    eventually("kubectl has ended", lambda: watchers.kubectl.poll() is not None, seconds=NOTICED)
    assert not any(uid in (watchers.folder / "kubectl").read_text() for uid in now.values())


def test_a_wrong_certificate_is_a_difference(clusters: Clusters, faulty: Objects) -> None:
    found = differences(clusters.grown[ALONE], faulty)

    for key, name in WRONG.items():
        assert any(one.startswith(f" {key} data {name}:") for one in found), found
