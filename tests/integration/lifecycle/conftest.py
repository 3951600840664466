"""One plex that is up for the stories in this folder, which go one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import Cluster, Lab, delete_plex_objects, stored_kubectl

PLEXES = ("lifecycle", "side", "wheel")


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with the plex `lifecycle`, which is not up; all of it is destroyed at the end."""
    folder = tmp_path_factory.mktemp("lab")
    lab = Lab(folder, tmp_path_factory.mktemp("home"))
    (folder / "clusters").mkdir()
    for plex in PLEXES:
        delete_plex_objects(plex)
    lab.run("init", "lifecycle")
    yield lab
    for plex in PLEXES:
        lab.run("destroy", plex, "-y", code=None)


@pytest.fixture(scope="package")
def lifecycle(lab: Lab) -> Lab:
    """The plex `lifecycle` is up: one master and two workers.

    The timeline has read the times of its nodes, as a later test may recreate them.
    """
    lab.run("up", "lifecycle", timeout=3600)
    lab.run("timeline")
    return lab


@pytest.fixture(scope="package")
def kubectl(lifecycle: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_kubectl(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="package")
def cluster(lifecycle: Lab, kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The plex `lifecycle` through a kubeconfig that was written once, when it was first up."""
    kubeconfig = tmp_path_factory.mktemp("kube") / "config"
    lifecycle.run("kubeconfig", "lifecycle", "--output", str(kubeconfig))
    return Cluster(kubectl, kubeconfig)
