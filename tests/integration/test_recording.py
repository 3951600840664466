"""A bake records what new clusters start with, for a version whose recording plexctl lacks.

plexctl has the recordings of the newest patches: these commands run one that does not find them.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from plexctl.plan.genesis.recording import committed
from plexctl.workflow.images.recordings import FOLDER

from .support import CHECKOUT, Lab, eventually, host, host_state

PLEX, VERSION = "recorded", "1.36.3"
STORED = user_cache_path("plexctl") / FOLDER

SETTINGS = """\
kubernetes: "1.36"
workers: 0
networks: {nodes: 10.79.7.0/24, pods: 10.195.0.0/16, services: 10.103.80.0/20}
"""

WITHOUT_COMMITTED = """\
from plexctl.plan.genesis import recording

recording.committed = lambda version: None

from plexctl.cli.main import main

main()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    program = tmp_path_factory.mktemp("program") / "without_recordings.py"
    program.write_text(WITHOUT_COMMITTED)
    shipped = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    shipped.run("init", PLEX)
    (shipped.root / "clusters" / PLEX / "plex.yaml").write_text(SETTINGS)
    shipped.run("bake", timeout=3600)
    kept = {file: file.read_bytes() for file in recordings()}
    forget()
    yield Lab(
        shipped.root,
        shipped.home,
        (sys.executable, str(program)),
        {"PYTHONPATH": str(CHECKOUT)},
    )
    shipped.run("destroy", PLEX, "-y")
    forget()
    for file, content in kept.items():
        file.write_bytes(content)


def recordings() -> list[Path]:
    return sorted(STORED.glob(f"kubernetes-{VERSION}-*.json"))


def forget() -> None:
    for file in recordings():
        file.unlink()


def recorders() -> set[str]:
    """All objects of reference clusters on the host."""
    state = host_state()
    kinds = (state.instances, state.profiles, state.networks, state.acls, state.volumes)
    found = [(name, one) for kind in kinds for name, one in kind.items()]
    return {name for name, one in found if one.tags.get("bake") == "recording"}


def recorded() -> Any:
    (file,) = recordings()
    return json.loads(file.read_text())


def test_a_bake_records_what_plexctl_ships(lab: Lab) -> None:
    began = time.monotonic()
    lab.run("bake")
    print(f"bake with a recording: {time.monotonic() - began:.1f} s")

    shipped = committed(VERSION)
    assert shipped is not None
    assert recorded() == json.loads(shipped.text)
    assert recorders() == set()


def test_it_is_recorded_once(lab: Lab) -> None:
    (before,) = (file.stat() for file in recordings())
    lab.run("bake")

    assert [file.stat().st_mtime_ns for file in recordings()] == [before.st_mtime_ns]


def test_a_cluster_is_born_of_it(lab: Lab) -> None:
    lab.run("up", PLEX)

    assert host().execute(f"{PLEX}1", ("test", "-e", "/var/lib/plexctl/born")).code == 0
    forget()
    assert lab.ask("plan", PLEX)["changes"] == []
    lab.run("destroy", PLEX, "-y")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_recording_that_was_ended_is_made_by_the_next_bake(
    lab: Lab, number: signal.Signals
) -> None:
    forget()
    bake = lab.start("bake")
    eventually("the reference cluster is created", lambda: bool(instances()), every=0.05)
    time.sleep(2)  # its API is about to answer
    (first,) = instances()
    bake.send_signal(number)
    out, err = bake.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert bake.returncode != 0
    assert (first in recorders()) == (number == signal.SIGKILL)
    assert recordings() == []

    lab.run("bake")

    assert recorders() == set()
    assert recorded()["pods"]


def instances() -> set[str]:
    return {name for name in recorders() if name in host_state().instances}
