"""Verbs are killed and interrupted at instants that a seed chooses; the next run converges.

`PLEXCTL_KILLS` is the number of kills; without it there are 5, always the same ones.
`PLEXCTL_KILLS_SEED` repeats those of a run that has printed its seed.
"""

from __future__ import annotations

import base64
import fcntl
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from plexctl.keys.seed import load

from .support import (
    CHECKOUT,
    Cluster,
    Lab,
    delete_plex_objects,
    eventually,
    files_below,
    host,
    host_state,
    objects,
    stored_kubectl,
)

PLEX = "killed"
KILLS = int(os.environ.get("PLEXCTL_KILLS", "5"))
SOAK = "PLEXCTL_KILLS" in os.environ
SEED = int(
    os.environ.get("PLEXCTL_KILLS_SEED")
    or (random.SystemRandom().randrange(10**6) if SOAK else 106)
)

VERBS = ("up", "replace", "scale", "bake", "destroy")
SIGNALS = (
    (signal.SIGKILL,),
    (signal.SIGTERM,),
    (signal.SIGINT, signal.SIGINT),
    (signal.SIGINT,),
    (signal.SIGKILL,),
    (signal.SIGTERM,),
)
SHARED = (Path("/dev/shm"), Path("/tmp"), Path("/run"))
KEYS = ("ca", "sa", "etcd/ca", "front-proxy-ca", "front-proxy-client", "apiserver-kubelet-client")
LARGEST = 64 << 20
"""Of the files in shared folders that are read."""


@dataclass(frozen=True)
class Kill:
    """When a verb gets which signals: `part` of the time that it takes undisturbed."""

    verb: str
    signals: tuple[signal.Signals, ...]
    part: float


def chosen(number: int, seed: int) -> list[Kill]:
    """As many kills of each verb as of any other, early and late ones, each signal in turn."""
    choice = random.Random(seed)
    kills = []
    for turn in range(-(-number // len(VERBS))):
        verbs = choice.sample(VERBS, len(VERBS))
        parts = choice.sample(range(len(VERBS)), len(VERBS))
        for place, verb in enumerate(verbs):
            ends = SIGNALS[(place + turn) % len(SIGNALS)]
            part = (parts[place] + choice.random()) / len(VERBS) * 0.9
            kills.append(Kill(verb, ends, round(part, 3)))
    return kills[:number]


@dataclass
class Story:
    """The lab, how long its verbs take, and how many signals have met one that was at work."""

    lab: Lab
    durations: dict[tuple[str, ...], float] = field(default_factory=dict)
    met: int = 0

    @property
    def file(self) -> Path:
        return self.lab.root / "clusters" / PLEX / "plex.yaml"

    @property
    def workers(self) -> int:
        return int(yaml.safe_load(self.file.read_text())["workers"])

    def words(self, verb: str) -> tuple[str, ...]:
        """The command, when what it needs is there and what it makes is not."""
        if verb == "up":
            self.run("destroy", PLEX, "-y")
            return "up", PLEX
        if verb == "bake":
            role = self.lab.root / "roles" / "admnode" / "tasks" / "tools.yml"
            kept = role.read_text().partition("- name: Leave a mark\n")[0]
            role.write_text(kept + MARK.format(time.monotonic_ns()))
            return "bake", "adm"
        if verb == "scale":
            return "scale", PLEX, "--workers", str(3 - self.workers), "-y"
        return {"replace": ("replace", f"{PLEX}2"), "destroy": ("destroy", PLEX, "-y")}[verb]

    def run(self, *words: str) -> float:
        """Run a command to its end, and remember how long the first one took.

        That had everything to do: later ones may complete what a killed one has begun.
        """
        began = time.monotonic()
        self.lab.run(*words, "-q", timeout=1800)
        return self.durations.setdefault(words, time.monotonic() - began)

    def duration(self, verb: str, words: tuple[str, ...]) -> float:
        """How long a command takes undisturbed; it is run, and undone, if it never was."""
        if words not in self.durations:
            self.run(*words)
            if verb == "scale":
                self.run("scale", PLEX, "--workers", str(3 - self.workers), "-y")
            elif verb == "destroy":
                self.run("up", PLEX)
            elif verb in ("up", "bake"):
                self.words(verb)
        return self.durations[words]

    def kill(self, kill: Kill) -> None:
        words = self.words(kill.verb)
        instant = self.duration(kill.verb, words) * kill.part
        print(f"{words}: {'+'.join(one.name for one in kill.signals)} after {instant:.2f} s")
        process = self.lab.start(*words, "-q")
        time.sleep(instant)
        at_work = process.poll() is None
        for number in kill.signals:
            process.send_signal(number)
            time.sleep(0.02)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err + out
        if not at_work or process.returncode == 0:
            # The machine is less busy than when the verb was measured.
            assert process.returncode == 0, err
            self.durations[words] = min(self.durations[words], instant)
            return
        self.met += 1
        number = kill.signals[0]
        if number == signal.SIGKILL:
            assert (process.returncode, err) == (-signal.SIGKILL, "")
        else:
            assert (process.returncode, err) == (128 + number, "interrupted\n")

    def converge(self, kill: Kill, cluster: Cluster) -> None:
        """The next run has nothing left to do after it; nothing more is there than is wanted."""
        if kill.verb == "bake":
            self.run("bake", "adm")
            assert self.lab.ask("bake", "adm")["images"][0]["changed"] is False
        self.run("up", PLEX)
        assert self.lab.run("plan", PLEX).out == f"{PLEX}: nothing to do\n"
        wanted = {f"{PLEX}{number + 1}" for number in range(self.workers + 1)}
        assert cluster.ready() == wanted
        nodes = cluster.get("nodes")["items"]
        assert {node["metadata"]["name"] for node in nodes} == wanted
        assert not [node for node in nodes if node["spec"].get("unschedulable")]
        assert {name for name, one in host_state().instances.items() if self.is_ours(one)} == wanted
        eventually("no process of it is left", lambda: processes_at(self.lab.root) == [])

    def is_ours(self, seen: object) -> bool:
        tags = getattr(seen, "tags", {})
        return tags.get("lab") == self.lab_id or tags.get("plex") == PLEX

    @property
    def lab_id(self) -> str:
        return load(self.lab.root, self.lab.home / "plexctl").lab_id


MARK = "- name: Leave a mark\n  ansible.builtin.copy:\n    content: '{}'\n    dest: /etc/mark\n"


@pytest.fixture
def story(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    delete_plex_objects(PLEX)
    (tmp_path / "clusters").mkdir()
    lab = Lab(tmp_path, tmp_path_factory.mktemp("home"))
    lab.run("init", PLEX)
    story = Story(lab)
    story.file.write_text(re.sub(r"workers: \d+", "workers: 1", story.file.read_text()))
    shutil.copytree(CHECKOUT / "roles" / "admnode", tmp_path / "roles" / "admnode")
    yield story
    lab.run("destroy", PLEX, "-y", "--images", code=None)


def test_verbs_are_killed_at_any_instant_and_the_next_run_converges(
    story: Story, tmp_path_factory: pytest.TempPathFactory
) -> None:
    print(f"PLEXCTL_KILLS={KILLS} PLEXCTL_KILLS_SEED={SEED}")
    began, before = time.time() - 1, abandoned()
    story.run("bake")
    story.run("up", PLEX)
    kubeconfig = story.lab.home / "kubeconfig"
    story.lab.run("kubeconfig", PLEX, "--output", str(kubeconfig))
    cluster = Cluster(stored_kubectl(story.lab.home), kubeconfig)
    secrets = known_secrets(story.lab, kubeconfig)

    kills = chosen(KILLS, SEED)
    for kill in kills:
        story.kill(kill)
        story.converge(kill, cluster)
    # Beside other stories a verb may take much less time than when it was measured.
    assert story.met > (len(kills) / 2 if SOAK else 0)

    own = tmp_path_factory.getbasetemp()
    assert showing(secrets, own, 0), "the needles are found where they are known to be"
    story.run("destroy", PLEX, "-y", "--images")
    assert objects(PLEX) == {}
    state, lab = host_state(), story.lab_id
    # Another lab may use the image of its nodes by now; that one stays, with its volume.
    shared = {
        name for one in state.images if "plexctl.shared" in one.properties for name in one.names
    }
    kinds = (state.instances, state.profiles, state.networks, state.acls, state.volumes)
    left = {name for kind in kinds for name, one in kind.items() if story.is_ours(one)}
    left |= {
        name or one.fingerprint
        for one in state.images
        if one.properties.get("plexctl.lab") == lab
        for name in one.names or ("",)
    }
    assert left <= shared
    eventually("no folder of it is left", lambda: abandoned() <= before)
    for folder in SHARED:
        assert [one for one in showing(secrets, folder, began) if not one.is_relative_to(own)] == []


def known_secrets(lab: Lab, kubeconfig: Path) -> list[bytes]:
    """A line of each private key, as it is in a file and as it is in a kubeconfig."""
    pull = host().instances.pull
    keys = [pull(f"{PLEX}1", f"/etc/kubernetes/pki/{name}.key") for name in KEYS]
    shown = [kubeconfig.read_bytes(), pull(f"{PLEX}1", "/etc/kubernetes/admin.conf")]
    for text in shown:
        user = yaml.safe_load(text)["users"][0]["user"]
        keys.append(base64.b64decode(user["client-key-data"]))
    found = [key.split(b"\n")[1] for key in keys]
    found += [base64.b64encode(key)[80:140] for key in keys]
    found.append(next((lab.home / "plexctl").glob("*.key")).read_bytes().split()[-1])
    assert all(len(one) > 12 for one in found)
    return found


def showing(secrets: list[bytes], folder: Path, began: float) -> list[Path]:
    """The files below a folder, changed since `began`, that have a secret in them."""
    found = []
    for file in files_below(folder):
        with suppress(OSError):
            status = file.lstat()
            if file.is_file() and not file.is_symlink() and status.st_mtime >= began:
                content = file.read_bytes() if status.st_size < LARGEST else b""
                found += [file] if any(secret in content for secret in secrets) else []
    return found


def abandoned() -> set[Path]:
    """Folders of this version of plexctl whose process has ended: nobody holds their lock.

    Older versions, which may run at the same time, have shorter names for theirs.
    """
    found = set()
    for folder in SHARED:
        for one in folder.glob("plexctl-*-????????"):
            with suppress(OSError):
                lock = os.open(one, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    found.add(one)
                finally:
                    os.close(lock)
    return found


def processes_at(root: Path) -> list[str]:
    """Commands, other than this test's, that have the lab in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            shown = (entry / "cmdline").read_bytes().decode(errors="replace")
            if int(entry.name) != os.getpid() and str(root) in shown:
                found.append(shown.replace("\0", " "))
    return found
