"""The lab's registry: asked by all nodes, asking the world once, and outliving every plex."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from plexctl.clients.registry.lab import LabRegistry, Part
from plexctl.clients.registry.routes import HttpsRoute
from plexctl.errors import PlexError
from plexctl.keys.lab import PUSHER, LabKeys
from plexctl.keys.seed import load
from plexctl.model.secret import Secret

from .support import (
    Cluster,
    Lab,
    delete_plex_objects,
    eventually,
    host,
    host_state,
    of_plex,
    stored_kubectl,
)
from .upstream import MANIFEST, TAG, Image, Upstream, digest, serving

NAME, PLEX = "regtest", "regplex"
GATEWAY, ENDPOINT = "10.77.1.1", "10.77.1.2:5000"
CLIENTS = 16
NODES = {"regplex1", "regplex2", "regplex3"}
PARTS = (Part("application/vnd.test.config+json", b"{}"), Part("application/vnd.test", b"apps"))


@dataclass(frozen=True)
class Registered:
    """A lab with a registry, and the only upstream that this has."""

    lab: Lab
    upstream: Upstream
    port: int

    @property
    def keys(self) -> LabKeys:
        return LabKeys.derive(load(self.lab.root, self.lab.home / "plexctl"))

    def client(self, password: Secret | None = None) -> LabRegistry:
        way = HttpsRoute(ENDPOINT, self.keys.ca.pair.certificate)
        return LabRegistry(ENDPOINT, way, PUSHER, password or self.keys.push_password())

    def pull(self, image: Image) -> None:
        """As containerd of a node does: the tag, what it stands for, its blobs."""
        context = ssl.create_default_context(cadata=self.keys.ca.pair.certificate.decode())
        client = urllib3.PoolManager(ssl_context=context, timeout=60, retries=False)
        base = f"https://{ENDPOINT}/v2/docker.io/{image.name}"
        accept = {"Accept": MANIFEST}
        top = client.request("HEAD", f"{base}/manifests/{TAG}", headers=accept)
        assert top.status == 200, top.status
        name = top.headers["Docker-Content-Digest"]
        manifest = client.request("GET", f"{base}/manifests/{name}", headers=accept)
        assert manifest.data == image.manifest
        for blob in image.blobs:
            assert client.request("GET", f"{base}/blobs/{digest(blob)}").data == blob


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    root = tmp_path_factory.mktemp("registry")
    lab = Lab(root, tmp_path_factory.mktemp("home"))
    for leftover in (PLEX, NAME):
        delete_plex_objects(leftover)
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    plex = root / "clusters" / PLEX / "plex.yaml"
    plex.parent.mkdir(parents=True)
    plex.write_text(
        "networks: {nodes: 10.77.2.0/24, pods: 10.77.64.0/18, services: 10.77.32.0/20}\n"
    )
    (root / "clusters" / "hosts.yaml").write_text(
        "hosts: {local: {}}\n"
        f"registry: {{name: {NAME}, network: 10.77.1.0/24, "
        f"upstreams: {{docker.io: 'http://{GATEWAY}:{port}'}}}}\n"
    )
    yield Registered(lab, Upstream(), port)
    lab.run("destroy", PLEX, "-y", code=None)
    lab.run("registry", "destroy", "-y", code=None)


@pytest.fixture(scope="module")
def cargo(registered: Registered) -> Image:
    """An image that the registry has cached, and an artifact that it was given."""
    registered.lab.run("registry", "up", timeout=1800)
    image = registered.upstream.have("library/cargo")
    with serving(registered.upstream, GATEWAY, registered.port):
        registered.pull(image)
    registered.client().push("apps/demo", "latest", *PARTS)
    return image


def test_up_makes_it_and_a_second_one_changes_nothing(registered: Registered) -> None:
    registered.lab.run("registry", "up", timeout=1800)

    again = registered.lab.ask("registry", "up")
    status = registered.lab.ask("registry", "status")

    assert again["changes"] == []
    assert (status["healthy"], status["endpoint"]) == (True, ENDPOINT)
    assert status["repositories"] == []
    assert [row["instance"] for row in status["hosts"]] == ["Running"]


def test_sixteen_pulls_at_once_reach_the_upstream_once(registered: Registered) -> None:
    registered.lab.run("registry", "up", timeout=1800)
    image = registered.upstream.have("library/crowd", size=16 << 20)
    together = threading.Barrier(CLIENTS, timeout=60)

    def pull(_: int) -> None:
        together.wait()
        registered.pull(image)

    with (
        serving(registered.upstream, GATEWAY, registered.port),
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        list(pool.map(pull, range(CLIENTS)))

    asked = registered.upstream.of(image)
    assert {line for line in asked if line.startswith("GET")} >= {
        f"GET /v2/{image.name}/blobs/{digest(blob)}" for blob in image.blobs
    }
    assert set(asked.values()) == {1}, asked


def test_only_who_has_the_password_may_push(registered: Registered, cargo: Image) -> None:
    with pytest.raises(PlexError, match="HTTP 401"):
        registered.client(Secret(b"guessed")).push("apps/other", "latest", *PARTS)
    with pytest.raises(PlexError, match="refuses"):
        registered.client().push("docker.io/library/other", "latest", *PARTS)

    assert registered.lab.ask("registry", "status")["repositories"] == ["apps/demo"]


def test_without_its_upstream_it_serves_what_it_has(registered: Registered, cargo: Image) -> None:
    registered.pull(cargo)


def test_a_new_node_has_what_the_old_one_had(registered: Registered, cargo: Image) -> None:
    before = host_state().instances[NAME].uuid

    answer = registered.lab.ask("registry", "replace")

    assert [change["kind"] for change in answer["changes"]] == ["instance"]
    assert host_state().instances[NAME].uuid != before
    registered.pull(cargo)
    assert registered.client().digest("apps/demo", "latest")


def test_it_runs_as_a_user_of_its_own_and_no_secret_is_in_its_settings(
    registered: Registered, cargo: Image
) -> None:
    process = host().execute(NAME, ("ps", "-o", "user=,args=", "-C", "registry")).stdout
    words = ["incus", "query", "/1.0/instances?recursion=2"]
    instances = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
    password = registered.keys.push_password().reveal_text()

    assert process.split()[0] == "registry"
    assert password not in process
    assert password not in instances
    assert "PRIVATE KEY" not in instances


def test_nodes_pull_through_it_and_do_without_it(
    registered: Registered, cargo: Image, tmp_path: Path
) -> None:
    lab, upstream = registered.lab, registered.upstream
    before = host_state().instances[NAME].uuid
    lab.run("up", PLEX, timeout=3600)
    config = tmp_path / "config"
    lab.run("kubeconfig", PLEX, "--output", str(config))
    cluster = Cluster(stored_kubectl(tmp_path), config)
    assert host_state().instances[NAME].uuid == before
    image = upstream.have("library/shared")

    with serving(upstream, GATEWAY, registered.port):
        for node in NODES:
            cluster.run("apply", "-f", "-", stdin=json.dumps(pod(node, image)))
        eventually("all nodes have the image", lambda: all(has(node, image) for node in NODES))
        assert set(upstream.of(image).values()) == {1}, upstream.of(image)

        host().stop(NAME)
        other = upstream.have("library/alone")
        cluster.run("apply", "-f", "-", stdin=json.dumps(pod("regplex2", other)))
        eventually("a node has asked the upstream itself", lambda: has("regplex2", other))

    changes = lab.ask("registry", "up")["changes"]
    assert [(change["action"], change["name"]) for change in changes] == [("start", NAME)]


def test_it_outlives_masters_and_plexes(registered: Registered, cargo: Image) -> None:
    before = host_state().instances[NAME].uuid
    registered.lab.run("up", PLEX, timeout=3600)

    registered.lab.run("replace", "master", "--plex", PLEX, "-y")
    registered.lab.run("destroy", PLEX, "-y")

    assert of_plex(host_state(), PLEX) == set()
    assert host_state().instances[NAME].uuid == before
    registered.pull(cargo)
    assert registered.client().digest("apps/demo", "latest")


def test_destroy_asks_first_and_then_leaves_nothing(registered: Registered, cargo: Image) -> None:
    assert "-y" in registered.lab.run("registry", "destroy", code=2).err
    assert "registry destroy" in registered.lab.run("destroy", NAME, "-y", code=2).err
    assert NAME in of_plex(host_state(), NAME)

    registered.lab.run("registry", "destroy", "-y")

    assert of_plex(host_state(), NAME) == set()
    assert registered.lab.run("registry", "status", code=1).out


def pod(node: str, image: Image) -> dict[str, object]:
    """A pod that has a node pull an image. There is nothing in it that could run."""
    name = f"{image.name.rpartition('/')[2]}-{node}"
    container = {"name": "cargo", "image": f"docker.io/{image.name}:{TAG}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [container]},
    }


def has(node: str, image: Image) -> bool:
    words = ("ctr", "-n", "k8s.io", "images", "list", "--quiet")
    return f"docker.io/{image.name}:{TAG}" in host().execute(node, words).stdout.split()
