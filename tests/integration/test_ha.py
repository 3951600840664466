"""Three masters: whoever writes through the API loses nothing while masters are lost and replaced.

It runs with `PLEXCTL_HA=short`: one master is killed, one is replaced, and the plex gets one master
and three again. With `PLEXCTL_HA=long` every master fails in every way.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from .support import Cluster, Lab, delete_plex_objects, eventually, stored_kubectl

PLEX = "hastory"
MASTERS = (f"{PLEX}1", f"{PLEX}2", f"{PLEX}3")
LENGTH = os.environ.get("PLEXCTL_HA", "")
SOAK = LENGTH == "long"
pytestmark = pytest.mark.skipif(not LENGTH, reason="PLEXCTL_HA is neither short nor long")
WRITES = "/api/v1/namespaces/default/configmaps"
EVERY = 0.1
"""Seconds between two writes."""


@dataclass
class Writer:
    """Writes a numbered object each 100 ms, and again until it is acknowledged."""

    kubeconfig: Path
    folder: Path
    acknowledged: list[str] = field(default_factory=list)
    away: float = 0.0  # the longest time without an acknowledgement, in seconds
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Writer:
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join(60)

    def _write(self) -> None:
        number, last = 0, time.monotonic()
        connection: http.client.HTTPSConnection | None = None
        while not self._end.is_set():
            name = f"write-{number}"
            try:
                connection = connection or self._connect()
                body = {"metadata": {"name": name}, "data": {"number": str(number)}}
                connection.request("POST", WRITES, json.dumps(body))
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.02)
                continue
            # 409: an earlier attempt was carried out, and its answer lost.
            if answer.status in (201, 409):
                now = time.monotonic()
                self.away, last = max(self.away, now - last), now
                self.acknowledged.append(name)
                number += 1
                time.sleep(EVERY)
            else:
                time.sleep(0.02)

    def _connect(self) -> http.client.HTTPSConnection:
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        own = self.folder / "own.pem"
        if not own.exists():
            pair = ("client-certificate-data", "client-key-data")
            own.touch(0o600)
            own.write_bytes(b"".join(base64.b64decode(user[name]) for name in pair))
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        context.load_cert_chain(own)
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=1, context=context)


def incus(*words: str) -> None:
    subprocess.run(["incus", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    delete_plex_objects(PLEX)
    lab.run("init", PLEX)
    shape(lab, masters=3, workers=2)
    yield lab
    lab.run("destroy", PLEX, "-y", code=None)


def shape(lab: Lab, *, masters: int, workers: int) -> None:
    """Write the numbers of masters and workers into the file of the plex."""
    file = lab.root / "clusters" / PLEX / "plex.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("masters:")]
    lines = [f"workers: {workers}" if one.startswith("workers:") else one for one in lines]
    file.write_text("\n".join((*lines, f"masters: {masters}")) + "\n")


@pytest.fixture(scope="module")
def cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The plex through a kubeconfig that was written once, when it was first up."""
    lab.run("up", PLEX, timeout=3600)
    kubeconfig = tmp_path_factory.mktemp("kube") / "config"
    lab.run("kubeconfig", PLEX, "--output", str(kubeconfig))
    return Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig)


def healthy(lab: Lab, masters: int) -> Any:
    """The status of the plex, once all its masters are healthy members of etcd."""

    def found() -> bool:
        said = lab.run("status", PLEX, "--json", code=None)
        return said.code == 0 and bool(json.loads(said.out)["healthy"])

    eventually("the plex is healthy", found, seconds=120)
    status = lab.ask("status", PLEX)
    if masters > 1:
        assert status["etcd"].startswith(f"{masters} of {masters} members are healthy")
        assert status["endpoint"] in MASTERS
    return status


def require(cluster: Cluster, writer: Writer) -> None:
    """Every acknowledged write is there."""
    there = {one["metadata"]["name"] for one in cluster.get("configmaps")["items"]}
    assert set(writer.acknowledged) - there == set()
    assert len(writer.acknowledged) > 10


def test_three_masters_are_born_and_nothing_is_left_to_change(lab: Lab, cluster: Cluster) -> None:
    status = healthy(lab, 3)

    assert [one["role"] for one in status["nodes"]] == ["master"] * 3 + ["worker"] * 2
    assert len(cluster.ready()) == 5
    nodes = cluster.get("nodes", "-l", "node-role.kubernetes.io/control-plane")["items"]
    assert [one["metadata"]["name"] for one in nodes] == list(MASTERS)
    assert lab.ask("plan", PLEX)["changes"] == []


def test_no_acknowledged_write_is_lost_while_masters_fail(
    lab: Lab, cluster: Cluster, tmp_path: Path
) -> None:
    with Writer(cluster.kubeconfig, tmp_path) as writer:
        for master in MASTERS if SOAK else (healthy(lab, 3)["endpoint"],):
            time.sleep(2)
            incus("stop", "--force", master)
            time.sleep(6)
            lab.run("up", PLEX)
            healthy(lab, 3)
            if SOAK:
                incus("pause", master)
                time.sleep(6)
                incus("start", master)
                healthy(lab, 3)
    print(f"the API was away for {writer.away:.1f} s at most")
    require(cluster, writer)


def test_masters_are_replaced_one_by_one(lab: Lab, cluster: Cluster, tmp_path: Path) -> None:
    with Writer(cluster.kubeconfig, tmp_path) as writer:
        for master in MASTERS if SOAK else MASTERS[:1]:
            lab.run("replace", master, "-y")
            healthy(lab, 3)
    print(f"the API was away for {writer.away:.1f} s at most")
    require(cluster, writer)
    assert lab.ask("plan", PLEX)["changes"] == []


def test_three_masters_become_one_and_three_again(
    lab: Lab, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.run("create", "configmap", "kept", "--from-literal=a=b")

    shape(lab, masters=1, workers=2)
    lab.run("up", PLEX, "-y")
    healthy(lab, 1)
    assert cluster.get("configmap", "kept")["data"] == {"a": "b"}
    assert len(cluster.ready()) == 3

    shape(lab, masters=3, workers=2)
    with Writer(cluster.kubeconfig, tmp_path) as writer:
        lab.run("up", PLEX, "-y")
    healthy(lab, 3)
    assert cluster.get("configmap", "kept")["data"] == {"a": "b"}
    assert len(cluster.ready()) == 5
    require(cluster, writer)
