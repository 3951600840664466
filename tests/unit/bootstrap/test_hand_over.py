"""What masters do when their work moves: the program that runs on them, and who runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from plexctl.bootstrap import hand_over
from plexctl.bootstrap.hand_over import SCRIPT, HandOver
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import TimedOutError
from plexctl.model.host import Host
from plexctl.model.nodes import masters

from ..model.test_nodes import DEMO

FIRST, *OTHERS = masters(replace(DEMO, masters=3))


@dataclass
class Fake:
    """A host on which the masters in `owners` have the address of the API."""

    owners: set[str] = field(default_factory=set)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    error: str = ""

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        assert argv[:3] == ("python3", "-ISc", SCRIPT)
        self.calls.append((name, *argv[3:]))
        said = json.dumps(name in self.owners) if argv[3] in ("announce", "alone") else ""
        return CommandResult(argv, 1 if self.error else 0, said, self.error)


def handing(fake: Fake) -> HandOver:
    return HandOver(DEMO, {"local": cast(Host, fake)})


def test_an_address_is_released_only_when_another_master_has_it() -> None:
    fake = Fake(owners={"demo3"})

    handing(fake).release(FIRST, OTHERS)

    address = (str(DEMO.networks.endpoint), "eth0")
    assert fake.calls == [
        ("demo2", "announce", *address),
        ("demo3", "announce", *address),
        ("demo1", "release", *address),
        ("demo2", "announce", *address),
        ("demo3", "announce", *address),
    ]


def test_a_master_keeps_the_address_if_nobody_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_over, "TAKEN", 0.0)
    fake = Fake()

    with pytest.raises(TimedOutError, match="one of demo2, demo3 has the address of the API"):
        handing(fake).release(FIRST, OTHERS)

    assert "release" not in [call[1] for call in fake.calls]


def test_an_error_says_what_a_master_cannot_do() -> None:
    fake = Fake(error="Traceback\nPermissionError: no")

    with pytest.raises(PlexError, match="demo1 cannot end its API server") as failed:
        handing(fake).retire(FIRST)

    assert failed.value.details == ("PermissionError: no",)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folders of a master."""
    for name in ("static", "held", "proc"):
        (tmp_path / name).mkdir()
    (tmp_path / "batch").write_text("link set dev lo up\n")
    return tmp_path


def run(node: Path, *words: str) -> str:
    """The program with the folders of `node` in place of a machine's."""
    text = SCRIPT
    for path, name in {
        "/etc/kubernetes/manifests": "static",
        "/etc/plexctl/manifests": "held",
        "/etc/plexctl/retired": "retired",
        "/etc/plexctl/network.batch": "batch",
        '"/proc"': '"proc"',
    }.items():
        assert path in text
        text = text.replace(path, f'"{node / "proc"}"' if name == '"proc"' else str(node / name))
    argv = (sys.executable, "-ISc", text, *words)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_settings_of_controllers_say_whether_they_work_alone(node: Path) -> None:
    manifest = node / "static" / "kube-controller-manager.yaml"
    manifest.write_text("- --leader-elect=true\n")
    assert run(node, "alone") == "false\n"

    manifest.rename(node / "held" / manifest.name)
    (node / "held" / manifest.name).write_text("- --leader-elect=false\n")
    assert run(node, "alone") == "true\n"


def test_what_is_retired_ends_and_works_again_on_request(node: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kube-scheduler"):
        (node / "static" / f"{name}.yaml").touch()
    (node / "held" / "kube-controller-manager.yaml").touch()
    ours = sleeping("kube-scheduler", "/etc/kubernetes/scheduler.conf")
    other = sleeping("kube-scheduler", "/root/scheduler.conf")
    for process in (ours, other):
        folder = node / "proc" / str(process.pid)
        folder.mkdir()
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        (folder / "cmdline").write_bytes(words)

    run(node, "retire")

    assert ours.wait(10) < 0
    assert other.poll() is None  # a user's own scheduler
    other.kill()
    other.wait(10)
    assert [one.name for one in (node / "static").iterdir()] == ["etcd.yaml"]

    run(node, "work")
    assert {one.stem for one in (node / "static").iterdir()} == {
        "etcd",
        "kube-apiserver",
        "kube-scheduler",
        "kube-controller-manager",
    }


def sleeping(name: str, word: str) -> subprocess.Popen[bytes]:
    """A process with that name and that argument; it has both when this returns."""
    script = "import sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        (name, "-c", script, word),
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process
