"""Fixtures of the stories: their distribution over workers, a second machine, and a test image."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from plexctl.clients.incus.host import IncusHost
from plexctl.depot.archive import Entry, write_image, write_tar
from plexctl.depot.pins import machine_architecture

from .nested import NestedHost
from .support import host

ECHO = "example.test/echo:1"

# Files whose tests must run one after another, as they share a machine, a plex or its name. Any
# other file is a lane of its own. The longest lanes are here and go first, so that none of them is
# alone at the end.
LANES = {
    "gitops": ("flux", "flux_hosts"),
    "engines": ("engines",),
    "hosts": ("hosts", "host_add", "ha_hosts"),
    "lifecycle": ("groups", "mistakes", "plays", "plex", "plex_changes", "wheel"),
    "host": ("host", "host_proxmox"),
    "engines_killed": ("engines_killed",),
    "modules": ("life", "over_https", "state", "written_by_hand"),
}
LANE_OF = {file: lane for lane, files in LANES.items() for file in files}


def lane(path: str) -> str:
    """The lane of a story by its file, or by its whole identifier."""
    file = Path(path.partition("::")[0]).stem.removeprefix("test_")
    return LANE_OF.get(file, file)


class Lanes(LoadScopeScheduling):
    """Deals out whole lanes to the processes of `pytest -n`."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LANES)}
    items.sort(key=lambda item: ranks.get(lane(item.path.name), len(ranks)))


@pytest.fixture(scope="session")
def echo_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with a small HTTP server and client, as no registry is needed."""
    folder = tmp_path_factory.mktemp("echo")
    source = Path(__file__).parent / "echo" / "main.go"
    program, layer, archive = folder / "echo", folder / "layer.tar", folder / "image.tar"
    subprocess.run(
        ["go", "build", "-o", program, source],
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
        timeout=300,
    )
    write_tar(layer, [Entry("echo", program)])
    write_image(archive, ECHO, machine_architecture(), layer, {"Entrypoint": ["/echo"]})
    return archive


@pytest.fixture(scope="session")
def echo(echo_archive: Path) -> Callable[[str], None]:
    """Puts that image onto a node of this machine."""
    return lambda node: load_echo(host(), node, echo_archive)


def load_echo(incus: IncusHost, node: str, archive: Path) -> None:
    incus.instances.push(node, "/root/echo.tar", archive.read_bytes(), mode=0o600)
    words = ("ctr", "-n", "k8s.io", "images", "import", "/root/echo.tar")
    done = incus.execute(node, words, timeout=60)
    assert done.code == 0, done


@pytest.fixture(scope="session")
def far(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[NestedHost]:
    """A second machine, which is a prepared host; no lab knows it yet. Each process has its own."""
    folder = tmp_path_factory.mktemp("far")
    number = int(worker_id.removeprefix("gw")) if worker_id != "master" else 0
    address = IPv4Interface(f"198.18.77.{61 + number}/24")
    with NestedHost(folder, f"plextest-far{number}", address) as nested:
        yield nested
