"""Two plexes on one host: what a pod and the root of a node of one can do to the other."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plexctl.model.command import CommandResult
from plexctl.plan.resources.profile import SHARED

from .support import (
    Cluster,
    Lab,
    delete_plex_objects,
    eventually,
    host,
    host_state,
    stored_kubectl,
    uptime,
)

ONE, TWO = "wallone", "walltwo"
NODE_PORTS = {"SSH": 22, "API": 6443, "kubelet": 10250, "etcd": 2379}
DNS_PORT = 53
NODE_PORT = 30053
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "outside", "namespace": "kube-system"},
    "spec": {
        "type": "NodePort",
        "selector": {"k8s-app": "kube-dns"},
        "ports": [{"port": DNS_PORT, "protocol": "TCP", "nodePort": NODE_PORT}],
    },
}
CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.split(":")
    try:
        socket.create_connection((address, int(port)), 2).close()
        print(target)
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Side:
    """A plex of one node, which is up."""

    name: str
    cluster: Cluster
    node: str  # address
    pod: str  # address of CoreDNS
    gateway: str  # the host's address on its bridge

    @property
    def master(self) -> str:
        return f"{self.name}1"

    @property
    def targets(self) -> set[str]:
        """What others could connect to, on its node and its pod, and by a service."""
        ports = (*NODE_PORTS.values(), NODE_PORT)
        return {*(f"{self.node}:{port}" for port in ports), f"{self.pod}:{DNS_PORT}"}

    def root(self, *argv: str, timeout: float = 60) -> CommandResult:
        """Run a program as root of its node."""
        return host().execute(self.master, argv, timeout=timeout)

    def pod_reaches(self, *targets: str) -> set[str]:
        """The targets that accept a connection from a process of user 1000 in its pod."""
        script = (
            "exec nsenter --net=/proc/$(pgrep -xo coredns)/ns/net "
            'setpriv --reuid=1000 --clear-groups python3 -c "$@"'
        )
        done = self.root("/bin/sh", "-c", script, "sh", CONNECT, *targets)
        assert done.code == 0, done
        return set(done.stdout.split())

    def node_reaches(self, *targets: str) -> set[str]:
        done = self.root("python3", "-c", CONNECT, *targets)
        assert done.code == 0, done
        return set(done.stdout.split())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    for plex in (ONE, TWO):
        delete_plex_objects(plex)
        lab.run("init", plex)
        file = lab.root / "clusters" / plex / "plex.yaml"
        file.write_text(file.read_text().replace("workers: 2", "workers: 0"))
    yield lab
    for plex in (ONE, TWO):
        lab.run("destroy", plex, "-y")
        assert f"plex-{plex}" not in host_state().acls


@pytest.fixture(scope="module")
def sides(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, Side]:
    kubectl, folder = stored_kubectl(tmp_path_factory.mktemp("bin")), tmp_path_factory.mktemp("k")
    return _up(lab, ONE, kubectl, folder), _up(lab, TWO, kubectl, folder)


def _up(lab: Lab, name: str, kubectl: Path, folder: Path) -> Side:
    lab.run("up", name, timeout=3600)
    lab.run("kubeconfig", name, "--output", str(folder / name))
    cluster = Cluster(kubectl, folder / name)
    cluster.run("apply", "-f", "-", stdin=json.dumps(SERVICE))
    (pod,) = cluster.get("pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"]
    (node,) = cluster.get("nodes")["items"]
    address = node["status"]["addresses"][0]["address"]
    gateway = IPv4Address(int(IPv4Address(address)) - 10)
    side = Side(name, cluster, address, pod["status"]["podIP"], str(gateway))
    eventually("the service answers", lambda: connects(f"{address}:{NODE_PORT}"))
    return side


def connects(target: str) -> bool:
    """Whether the host itself can connect."""
    address, port = target.split(":")
    try:
        socket.create_connection((address, int(port)), 2).close()
    except OSError:
        return False
    return True


def test_the_host_reaches_nodes_pods_and_services_of_both(sides: tuple[Side, Side]) -> None:
    for side in sides:
        assert {target for target in side.targets if connects(target)} == side.targets


def test_a_plex_reaches_itself_and_its_host(sides: tuple[Side, Side]) -> None:
    for side in sides:
        assert side.pod_reaches(*side.targets) == side.targets
        with socket.create_server((side.gateway, 0)) as server:
            threading.Thread(target=lambda one=server: one.accept(), daemon=True).start()
            target = f"{side.gateway}:{server.getsockname()[1]}"
            assert side.pod_reaches(target) == {target}


def test_a_pod_reaches_nothing_of_another_plex(sides: tuple[Side, Side]) -> None:
    one, two = sides
    assert one.pod_reaches(*two.targets) == set()
    assert two.pod_reaches(*one.targets) == set()


def test_the_root_of_a_node_reaches_nothing_of_another_plex(sides: tuple[Side, Side]) -> None:
    one, two = sides
    assert one.node_reaches(*two.targets) == set()


def test_a_node_cannot_send_from_an_address_of_another_plex(sides: tuple[Side, Side]) -> None:
    """Not even the first packet arrives: UDP needs no answer."""
    one, two = sides
    port = 9999
    listen = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(8); "
        f"s.bind(('', {port})); print(s.recvfrom(9)[1][0])"
    )
    own, foreign = one.node, str(IPv4Address(two.node) + 100)

    def sent_from(address: str) -> str:
        heard: list[str] = []
        listener = threading.Thread(
            target=lambda: heard.append(two.root("python3", "-c", listen).stdout.strip())
        )
        listener.start()
        send = (
            "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); "
            f"s.bind(('{address}', 0)); "
            f"[(s.sendto(b'x', ('{two.node}', {port})), time.sleep(0.2)) for _ in range(30)]"
        )
        one.root("/bin/sh", "-c", f'ip address add {address}/32 dev lo; python3 -c "{send}"')
        listener.join()
        return heard[0]

    try:
        assert sent_from(foreign) == ""
        assert sent_from(own) == ""
    finally:
        one.root("ip", "address", "delete", f"{foreign}/32", "dev", "lo")


def test_an_exception_lets_one_plex_in_and_replaces_no_node(
    lab: Lab, sides: tuple[Side, Side]
) -> None:
    one, two = sides
    before = {side.master: uptime(side.master) for side in sides}
    file = lab.root / "clusters" / TWO / "plex.yaml"
    text = file.read_text()

    file.write_text(f"{text}\nisolation: {{allow: [{ONE}]}}\n")
    changes = json.loads(lab.run("plan", TWO, "--json", code=3).out)["changes"]
    assert [(change["action"], change["kind"]) for change in changes] == [("update", "acl")]
    lab.run("up", TWO)
    assert one.pod_reaches(*two.targets) == two.targets
    assert two.pod_reaches(*one.targets) == set()  # the other direction is the other plex' matter

    file.write_text(text)
    lab.run("up", TWO)
    assert one.pod_reaches(*two.targets) == set()

    file.write_text(f"{text}\nisolation: off\n")
    lab.run("up", TWO)
    assert one.pod_reaches(*two.targets) == two.targets
    assert two.pod_reaches(*one.targets) == set()

    file.write_text(text)
    lab.run("up", TWO)
    assert {name: uptime(name) for name in before} == before


def test_the_root_of_a_node_cannot_change_programs_of_other_nodes(
    sides: tuple[Side, Side],
) -> None:
    """The volume of programs is mounted read-only, and stays what it is when remounted."""
    one, two = sides
    kubelet = f"{SHARED}/bin/kubelet"
    digest = two.root("sha256sum", kubelet).stdout
    assert digest
    names = two.root("ls", "-R", f"{SHARED}/bin", f"{SHARED}/cni").stdout

    assert one.root("mount", "-o", "remount,rw,bind", SHARED).code == 0
    try:
        for attempt in (
            f"echo evil >> {kubelet}",
            f"echo evil > {SHARED}/bin/new",
            f"mv {kubelet} {SHARED}/bin/old",
            f"mv {SHARED}/bin {SHARED}/old",
            f"rm -f {kubelet}",
            f"chmod 0 {kubelet}",
            f"chattr -i {kubelet} && echo evil >> {kubelet}",
            f"chattr -R -i {SHARED}/bin",
            f"cp /bin/true {SHARED}/cni/ptp",
            f"unshare --user --map-root-user chattr -i {kubelet}",
        ):
            assert one.root("/bin/sh", "-c", attempt).code != 0, attempt
    finally:
        one.root("mount", "-o", "remount,ro,bind", SHARED)
    assert two.root("sha256sum", kubelet).stdout == digest
    assert two.root("ls", "-R", f"{SHARED}/bin", f"{SHARED}/cni").stdout == names


def test_the_volume_of_images_is_sealed_on_btrfs(sides: tuple[Side, Side]) -> None:
    one, _ = sides
    if one.root("stat", "--file-system", "--format=%T", SHARED).stdout.strip() != "btrfs":
        pytest.skip("the pool is not btrfs")
    one.root("mount", "-o", "remount,rw,bind", SHARED)
    try:
        assert one.root("touch", f"{SHARED}/snapshots/new").code != 0
    finally:
        one.root("mount", "-o", "remount,ro,bind", SHARED)
