"""A cluster is saved to a file, lost with its nodes, and created again from the file.

With `PLEXCTL_KILLS`, which `bin/test soak` sets, also with three masters, and to a bucket.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from plexctl.depot.pins import load_pins

from . import s3_server
from .support import (
    Cluster,
    Lab,
    delete_plex_objects,
    eventually,
    host,
    host_state,
    stored_kubectl,
    typed,
)

PLEX = "savestory"
MASTER, WORKER, OTHER = (f"{PLEX}{number}" for number in (1, 2, 3))
FILE = """\
workers: {workers}
masters: {masters}
networks: {{nodes: 10.107.13.0/24, pods: 10.246.0.0/16, services: 10.107.48.0/20}}
"""
GATEWAY = "10.107.13.1"
SOAK = "PLEXCTL_KILLS" in os.environ


@dataclass(frozen=True)
class Story:
    lab: Lab
    cluster: Cluster
    file: Path

    def shape(self, *, masters: int = 1, workers: int, more: str = "") -> None:
        file = self.lab.root / "clusters" / PLEX / "plex.yaml"
        file.write_text(f"{FILE.format(masters=masters, workers=workers)}{more}\n")

    def backups(self) -> list[str]:
        """Names of the backups that masters have written, the oldest first."""
        return [one["name"] for one in self.lab.ask("backups", "list", PLEX)["backups"]]

    def namespaces(self) -> set[str]:
        return {one["metadata"]["name"] for one in self.cluster.get("namespaces")["items"]}

    def nodes(self) -> set[str]:
        return {one["metadata"]["name"] for one in self.cluster.get("nodes")["items"]}

    def revision(self) -> int:
        listed = json.loads(self.cluster.run("get", "--raw", "/api/v1/namespaces"))
        return int(listed["metadata"]["resourceVersion"])

    def running(self) -> int:
        status = self.cluster.get("deployment", "web", "-n", "kept")["status"]
        return int(status.get("readyReplicas", 0))

    def restore(self) -> None:
        self.lab.run("up", PLEX, "--restore", str(self.file), "-y")

    def has_come_back(self) -> None:
        """What was saved is there, everything runs, and there is nothing to do."""
        assert "kept" in self.namespaces()
        assert "later" not in self.namespaces()
        assert self.cluster.get("secret", "key", "-n", "kept")["data"] == {"a": "Yg=="}
        eventually("web runs", lambda: self.running() == 2)
        assert self.lab.ask("plan", PLEX)["changes"] == []
        assert self.lab.ask("status", PLEX)["healthy"]


def instances() -> dict[str, Mapping[str, str]]:
    return {n: one.tags for n, one in host_state().instances.items() if n.startswith(PLEX)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    kept = tmp_path_factory.mktemp("user")
    story = Story(lab, Cluster(stored_kubectl(kept), kept / "kubeconfig"), kept / "a.backup")
    story.shape(workers=2)
    lab.run("up", PLEX)
    # A user has kept it: it works after every restore.
    shutil.copy(lab.root / ".plexctl" / "plexes" / PLEX / "kubeconfig", kept / "kubeconfig")
    yield story
    lab.run("destroy", PLEX, "-y")
    volumes = host().connection.api["storage-pools"]["default"].volumes.custom
    for name in host_state().volumes:
        if name.startswith(f"plex-{PLEX}-backups-"):
            volumes[name].delete()


def test_a_master_lost_with_its_disk_comes_back(story: Story) -> None:
    cluster = story.cluster
    pause = load_pins().release("1.36.3").images["pause"]
    cluster.run("create", "namespace", "kept")
    cluster.run("create", "secret", "generic", "key", "-n", "kept", "--from-literal=a=b")
    cluster.run("create", "deployment", "web", "-n", "kept", f"--image={pause}", "--replicas=2")
    cluster.run("rollout", "status", "deployment/web", "-n", "kept", "--timeout=60s")
    cluster.run("label", "node", WORKER, "rack=a")

    answer = story.lab.ask("backup", str(story.file), "--plex", PLEX)

    assert (answer["plex"], answer["version"]) == (PLEX, 1)
    assert stat.S_IMODE(story.file.stat().st_mode) == 0o600
    assert answer["size"] == story.file.stat().st_size
    cluster.run("create", "namespace", "later")
    before = story.revision()
    host().delete_instance(MASTER)
    story.restore()

    story.has_come_back()
    assert cluster.ready() == {MASTER, WORKER, OTHER}
    assert cluster.get("node", WORKER)["metadata"]["labels"]["rack"] == "a"
    assert story.revision() > before, "clients of the lost cluster list again"
    assert "control-plane" in cluster.run("get", "node", MASTER)
    # Nothing of the backup is left on the master beside etcd itself.
    left = host().execute(MASTER, ("ls", "/etc/plexctl")).stdout.split()
    assert not {"etcd.snapshot", "genesis.json"} & set(left)


def test_nodes_that_the_plex_has_no_more_are_gone_with_their_pods(story: Story) -> None:
    story.shape(workers=1)
    story.restore()

    story.has_come_back()
    assert story.nodes() == {MASTER, WORKER}
    pods = story.cluster.get("pods", "-A")["items"]
    assert {pod["spec"].get("nodeName") for pod in pods} == {MASTER, WORKER}


def test_files_that_are_no_backup_of_this_plex_change_nothing(story: Story, tmp_path: Path) -> None:
    whole, before = story.file.read_bytes(), instances()
    wrong = {
        "cut short": whole[:-100],
        "altered": whole[:5000] + b"x" + whole[5001:],
        "empty": b"",
        "text": b"apiVersion: v1\n",
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        said = story.lab.run("up", PLEX, "--restore", str(tmp_path / name), "-y", code=2).err
        assert name in said
        assert "not a backup that can be restored here" in said
    other = Lab(tmp_path / "lab", tmp_path / "home")
    other.run("init", PLEX)
    said = other.run("up", PLEX, "--restore", str(story.file), "-y", code=2).err
    assert "another lab has written it" in said
    said = story.lab.run("up", PLEX, "--restore", str(story.file), code=2).err
    assert "-y" in said
    said = story.lab.run("backup", str(story.file), "--plex", PLEX, code=2).err
    assert "-y" in said
    assert story.file.read_bytes() == whole
    assert instances() == before


def test_a_restore_that_is_killed_is_completed_by_the_next_up(story: Story) -> None:
    story.cluster.run("create", "namespace", "later")
    unfinished = story.lab.root / ".plexctl" / "plexes" / PLEX / "unfinished.json"
    process = story.lab.start("up", PLEX, "--restore", str(story.file), "-y", "-q")
    while process.poll() is None and not unfinished.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    story.lab.run("up", PLEX)

    story.has_come_back()
    assert not unfinished.exists()


def test_masters_write_to_a_volume_that_outlives_them(story: Story) -> None:
    story.shape(workers=1, more="backup: {every: 1h, keep: 2, to: /srv/backups}")
    before = instances()

    answer = story.lab.ask("up", PLEX)

    assert answer["changes"] == []
    assert {name: one["run"] for name, one in instances().items()} == {
        name: one["run"] for name, one in before.items()
    }
    timers = host().execute(MASTER, ("systemctl", "list-timers", "plex-backup.timer")).stdout
    assert "plex-backup.service" in timers
    for _ in range(3):
        saved()
        time.sleep(1.1)  # the name of a backup has whole seconds
    names = story.backups()
    assert len(names) == 2, "older ones are deleted"
    story.cluster.run("create", "namespace", "later")
    story.lab.run("destroy", PLEX, "-y")
    assert story.backups() == names

    story.lab.run("up", PLEX, "--restore", "latest", "-y")

    story.has_come_back()
    assert story.lab.ask("up", PLEX)["changes"] == []
    saved()
    assert story.backups()[-1] not in names, "the new master writes, too"


@pytest.mark.skipif(not SOAK, reason="PLEXCTL_KILLS is not set")
def test_masters_write_to_a_bucket(story: Story, tmp_path_factory: pytest.TempPathFactory) -> None:
    program = s3_server.build(tmp_path_factory.mktemp("bin"))
    folder = tmp_path_factory.mktemp("s3")
    with s3_server.serving(program, folder, f"{GATEWAY}:17071", "lab-backups") as server:
        ca = story.lab.root / "clusters" / "s3-ca.pem"
        shutil.copy(server.ca, ca)
        story.shape(
            workers=1,
            more="backup: {to: 's3://lab-backups/home', ca: clusters/s3-ca.pem,"
            f" endpoint: '{server.url}'}}",
        )
        assert "plexctl backups key" in story.lab.run("up", PLEX, code=2).err
        keys = f"{s3_server.ACCESS_KEY}\n{s3_server.SECRET_KEY}\n"
        typed(story.lab, keys, "backups", "key", PLEX)
        story.lab.run("up", PLEX)
        saved()

        (name,) = story.backups()
        assert server.objects("lab-backups") == [f"home/{name}"]
        config = host().execute(MASTER, ("stat", "-c", "%a", "/etc/plexctl/backup.json")).stdout
        assert config.strip() == "600"
        assert s3_server.SECRET_KEY not in str(host().connection.api.instances[MASTER].get().json())
        story.cluster.run("create", "namespace", "later")
        story.lab.run("up", PLEX, "--restore", name, "-y")
        story.has_come_back()
    story.shape(workers=1)
    story.lab.run("up", PLEX)
    left = host().execute(MASTER, ("ls", "/etc/plexctl")).stdout
    assert "backup.json" not in left


def saved() -> None:
    """Let the master save now."""
    done = host().execute(MASTER, ("systemctl", "start", "plex-backup.service"), timeout=60)
    log = host().execute(MASTER, ("journalctl", "--no-pager", "-n5", "-u", "plex-backup.service"))
    assert done.code == 0, log.stdout


@pytest.mark.skipif(not SOAK, reason="PLEXCTL_KILLS is not set")
def test_one_master_becomes_three_and_three_become_one(story: Story) -> None:
    for masters in (3, 1):
        story.shape(masters=masters, workers=1)
        story.restore()
        story.has_come_back()
        assert len(story.nodes()) == masters + 1
        eventually("etcd has its members", lambda n=masters: members() == n)  # type: ignore[misc]
        story.lab.run("backup", str(story.file), "--plex", PLEX, "-y")


def members() -> int:
    """The number of healthy members of etcd."""
    script = (
        "ETCDCTL_ENDPOINTS=127.0.0.1:2379 crictl exec $(crictl ps -q --name '^etcd$')"
        " etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt"
        " --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt"
        " --key /etc/kubernetes/pki/etcd/healthcheck-client.key member list"
    )
    return host().execute(MASTER, ("sh", "-c", script)).stdout.count("started")
