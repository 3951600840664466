"""A plex is saved while programs write, changed, brought back, exported, imported; all are killed.

`PLEXCTL_KILLS` is five times the number of kills of each verb, at instants that a seed chooses;
without it there is one of each, at its worst instant. `PLEXCTL_KILLS_SEED` repeats those of a run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plexctl.workflow.snapshots.copies import COPY

from .support import (
    Cluster,
    Lab,
    delete_plex_objects,
    host,
    host_state,
    objects,
    stored_kubectl,
)

PLEX = "snapstory"
FILE = """\
workers: 1
networks: {nodes: 10.107.11.0/24, pods: 10.241.0.0/16, services: 10.107.16.0/20}
"""
KILLS = max(1, int(os.environ.get("PLEXCTL_KILLS", "5")) // 5)
SOAK = "PLEXCTL_KILLS" in os.environ
SEED = int(os.environ.get("PLEXCTL_KILLS_SEED") or random.SystemRandom().randrange(10**6))

WORKER = f"{PLEX}2"
DATABASE = "/srv/data/rows.sqlite"
WRITER = f"""\
import sqlite3, time
base = sqlite3.connect({DATABASE!r})
base.execute("create table if not exists rows (id integer primary key, text)")
while True:
    with base:
        base.execute("insert into rows (text) values (hex(randomblob(500)))")
    time.sleep(0.01)
"""
READER = f"""\
import sqlite3
base = sqlite3.connect({DATABASE!r})
(state,) = base.execute("pragma integrity_check").fetchone()
count, last = base.execute("select count(*), max(id) from rows").fetchone()
print(state, count, last)
"""


@dataclass(frozen=True)
class Story:
    lab: Lab
    cluster: Cluster

    def on_worker(self, *argv: str) -> str:
        done = host().execute(WORKER, argv)
        assert done.code == 0, done
        return done.stdout

    def rows(self) -> int:
        """The number of rows of a database that is whole."""
        state, count, last = self.on_worker("python3", "-c", READER).split()
        assert (state, count) == ("ok", last)
        return int(count)

    def snapshots(self) -> dict[str, bool]:
        """Whether each is complete, by name."""
        answer = self.lab.ask("snapshot", "list", "--plex", PLEX)
        assert answer["version"] == 1
        return {row["name"]: row["complete"] for row in answer["snapshots"]}

    def namespaces(self) -> set[str]:
        return {one["metadata"]["name"] for one in self.cluster.get("namespaces")["items"]}

    @property
    def file(self) -> Path:
        """Of an exported snapshot."""
        return self.lab.root.parent / "before.tar"

    def kill(self, ready: Callable[[], bool], *words: str) -> None:
        """Begin a command, and kill it as soon as `ready`."""
        process = self.lab.start("snapshot", *words, "-y", "-q")
        while process.poll() is None and not ready():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)

    @property
    def unfinished(self) -> Path:
        return self.lab.root / ".plexctl" / "plexes" / PLEX / "unfinished.json"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    delete_plex_objects(PLEX)
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    (lab.root / "clusters" / PLEX / "plex.yaml").write_text(FILE)
    lab.run("up", PLEX)
    kubeconfig = lab.root / ".plexctl" / "plexes" / PLEX / "kubeconfig"
    yield Story(lab, Cluster(stored_kubectl(tmp_path_factory.mktemp("bin")), kubeconfig))
    lab.run("destroy", PLEX, "-y")


def temporary_images() -> list[str]:
    """Images that exist only while a disk of a node of this plex is copied."""
    return [
        one.fingerprint
        for one in host_state().images
        if one.properties.get(COPY, "").endswith(f"-{PLEX}")  # the run that copies
    ]


def statuses() -> dict[str, str]:
    nodes = host_state().instances.items()
    return {name: one.status for name, one in nodes if name.startswith(PLEX)}


def test_a_deleted_namespace_and_a_database_come_back_as_they_were(story: Story) -> None:
    story.cluster.run("create", "namespace", "kept")
    story.cluster.run("create", "configmap", "data", "-n", "kept", "--from-literal=a=b")
    story.on_worker("mkdir", "-p", "/srv/data")
    story.on_worker("systemd-run", "--unit=writer", "python3", "-c", WRITER)
    time.sleep(1)
    before = story.rows()

    answer = story.lab.ask("snapshot", "save", "before", "--plex", PLEX)

    assert answer["nodes"] == [f"{PLEX}1", WORKER]
    assert statuses() == {f"{PLEX}1": "Running", WORKER: "Running"}
    after = story.rows()
    assert after > before, "the program that writes goes on"
    assert story.snapshots() == {"before": True}
    story.cluster.run("delete", "namespace", "kept")
    story.cluster.run("create", "namespace", "later")
    story.on_worker("systemctl", "stop", "writer")
    story.on_worker("rm", "-r", "/srv/data")

    story.lab.run("snapshot", "restore", "before", "--plex", PLEX, "-y")

    assert "kept" in story.namespaces()
    assert "later" not in story.namespaces()
    assert story.cluster.get("configmap", "data", "-n", "kept")["data"] == {"a": "b"}
    assert before <= story.rows() <= after
    assert story.cluster.ready() == {f"{PLEX}1", WORKER}


def test_a_plex_that_came_back_is_as_its_files_say(story: Story) -> None:
    assert story.lab.ask("plan", PLEX)["changes"] == []
    assert story.lab.ask("up", PLEX)["changes"] == []
    manifests = host().execute(f"{PLEX}1", ("ls", "/etc/kubernetes/manifests")).stdout.split()
    assert len(manifests) == 4, "the controllers run again, too"


def test_the_next_run_thaws_the_nodes_of_a_killed_save(story: Story) -> None:
    choice = random.Random(SEED)
    print(f"PLEXCTL_KILLS_SEED={SEED}")
    for _ in range(KILLS):
        delay = choice.random() if SOAK else 0.0

        def frozen(delay: float = delay) -> bool:
            if not story.unfinished.exists():
                return False
            time.sleep(delay)
            return True

        story.kill(frozen, "save", "killed", "--plex", PLEX)

        assert story.lab.ask("up", PLEX)["changes"] == []

        assert set(statuses().values()) == {"Running"}
        assert not story.unfinished.exists()
        story.lab.run("snapshot", "delete", "killed", "--plex", PLEX, "-y", code=None)
        assert story.snapshots() == {"before": True}


def test_the_next_run_completes_a_killed_restore(story: Story) -> None:
    choice = random.Random(SEED)
    print(f"PLEXCTL_KILLS_SEED={SEED}")
    for number in range(KILLS):
        story.cluster.run("create", "namespace", f"later{number}")
        delay = choice.random() * 4 if SOAK else 0.0

        def stopped(delay: float = delay) -> bool:
            if "Stopped" not in statuses().values():
                return False
            time.sleep(delay)
            return True

        story.kill(stopped, "restore", "before", "--plex", PLEX)
        assert SOAK or story.unfinished.exists()

        assert story.lab.ask("up", PLEX)["changes"] == []

        assert not story.unfinished.exists()
        assert f"later{number}" not in story.namespaces()
        assert story.cluster.ready() == {f"{PLEX}1", WORKER}


def test_an_exported_plex_comes_back_after_it_was_destroyed(story: Story) -> None:
    before = story.rows()
    answer = story.lab.ask("snapshot", "export", "before", str(story.file), "--plex", PLEX)
    assert answer["nodes"] == [f"{PLEX}1", WORKER]
    assert story.file.stat().st_mode & 0o777 == 0o600
    refused = story.lab.run("snapshot", "import", str(story.file), code=2)
    assert f"{PLEX} exists already" in refused.err
    story.lab.run("destroy", PLEX, "-y")

    story.lab.run("snapshot", "import", str(story.file))

    assert "kept" in story.namespaces()
    assert story.rows() == before
    assert story.snapshots() == {"before": True}
    assert story.lab.ask("up", PLEX)["changes"] == []
    assert temporary_images() == []
    limits = host().connection.api.instances[WORKER].get().json()["metadata"]["config"]
    assert "raw.lxc" not in limits, "it is in the profile, which the plan defines"


def test_a_changed_or_foreign_file_is_refused_and_nothing_is_created(
    story: Story, tmp_path: Path
) -> None:
    story.lab.run("destroy", PLEX, "-y")
    content = story.file.read_bytes()
    changed = tmp_path / "changed.tar"
    place = len(content) // 3
    changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    refused = story.lab.run("snapshot", "import", str(changed), code=2)
    assert "its checksum is not the one in the manifest" in refused.err
    changed.write_bytes(content[:place])
    assert "cut short" in story.lab.run("snapshot", "import", str(changed), code=2).err
    other = Lab(tmp_path / "lab", tmp_path / "home")
    other.root.mkdir()
    other.run("init", PLEX)
    assert "it is of the lab" in other.run("snapshot", "import", str(story.file), code=2).err
    assert objects(PLEX) == {}
    assert temporary_images() == []


def test_the_next_run_undoes_a_killed_import(story: Story) -> None:
    story.lab.run("destroy", PLEX, "-y")
    choice = random.Random(SEED)
    print(f"PLEXCTL_KILLS_SEED={SEED}")
    for _ in range(KILLS):
        delay = choice.random() * 12 if SOAK else 0.0

        def begun(delay: float = delay) -> bool:
            if not (story.unfinished.exists() and (SOAK or temporary_images())):
                return False
            time.sleep(delay)
            return True

        story.kill(begun, "import", str(story.file))
        assert SOAK or story.unfinished.exists()

        story.lab.run("destroy", PLEX, "-y")

        assert objects(PLEX) == {}
        assert temporary_images() == []
    story.lab.run("snapshot", "import", str(story.file))
    assert story.cluster.ready() == {f"{PLEX}1", WORKER}


def test_a_killed_export_leaves_no_file_and_the_next_run_deletes_its_image(
    story: Story, tmp_path: Path
) -> None:
    choice = random.Random(SEED)
    for _ in range(KILLS):
        delay = choice.random() * 8 if SOAK else 0.0

        def begun(delay: float = delay) -> bool:
            if not (story.unfinished.exists() and (SOAK or temporary_images())):
                return False
            time.sleep(delay)
            return True

        story.kill(begun, "export", "before", str(tmp_path / "x.tar"), "--plex", PLEX)
        assert [one.name for one in tmp_path.iterdir()] in ([], ["x.tar"])
        (tmp_path / "x.tar").unlink(missing_ok=True)

        assert story.lab.ask("up", PLEX)["changes"] == []

        assert temporary_images() == []
        assert story.snapshots() == {"before": True}


def test_a_snapshot_without_a_replaced_node_is_refused(story: Story) -> None:
    story.lab.run("replace", WORKER, "--plex", PLEX, "-y")
    assert story.snapshots() == {"before": False}

    refused = story.lab.run("snapshot", "restore", "before", "--plex", PLEX, "-y", code=2)

    assert f"incomplete: {WORKER} came later" in refused.err
    assert set(statuses().values()) == {"Running"}
    story.lab.run("snapshot", "delete", "before", "--plex", PLEX, "-y")
    assert story.snapshots() == {}
