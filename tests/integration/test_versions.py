"""Plexes of two minor versions of Kubernetes in one lab, at the same time.

The older version is used where the depot has it or its release can be downloaded. `bin/test soak`
builds it where neither is the case: that takes ten minutes on two cores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from plexctl.depot.pins import IMAGES, KUBERNETES, load_pins
from plexctl.workflow.images.recordings import FOLDER

from .support import Cluster, Lab, delete_plex_objects, host, stored_kubectl

NEWER, OLDER = "vnew", "vold"
BUILD = "PLEXCTL_BUILD_OLDER" in os.environ
NEWEST = load_pins().versions()[0]
NEWEST_MINOR = int(NEWEST.split(".")[1])
OLD = next(v for v in load_pins().versions() if int(v.split(".")[1]) == NEWEST_MINOR - 1)
OLD_MINOR = f"1.{NEWEST_MINOR - 1}"
SETTINGS = {
    NEWER: "workers: 1\n"
    "networks: {nodes: 10.79.8.0/24, pods: 10.251.0.0/16, services: 10.99.224.0/20}\n",
    OLDER: f'kubernetes: "{OLD_MINOR}"\nworkers: 1\n'
    "networks: {nodes: 10.79.9.0/24, pods: 10.252.0.0/16, services: 10.99.240.0/20}\n",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    for plex, settings in SETTINGS.items():
        lab.run("init", plex)
        (lab.root / "clusters" / plex / "plex.yaml").write_text(settings)
    fill(lab)
    yield lab
    for plex in SETTINGS:
        lab.run("destroy", plex, "-y", code=None)
        delete_plex_objects(plex)


def fill(lab: Lab) -> None:
    """Fill the depot with the older version, or skip: to build it takes too long for each run."""
    if BUILD or row(lab, OLD)["stored"]:
        return
    done = lab.run("depot", "fill", "--source", "release", code=None, timeout=1800)
    if done.code:
        pytest.skip(
            f"the depot lacks Kubernetes {OLD}, and its release cannot be downloaded here: "
            "`bin/test soak` builds it"
        )


def row(lab: Lab, version: str) -> dict[str, object]:
    """What `plexctl versions` says about a version."""
    (found,) = (one for one in lab.ask("versions")["versions"] if one["version"] == version)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def up(lab: Lab) -> Lab:
    for plex in SETTINGS:
        lab.run("up", plex, timeout=3600)
    return lab


@pytest.fixture(scope="module")
def clusters(up: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cluster]:
    kubectl = stored_kubectl(tmp_path_factory.mktemp("kubectl"))
    folder = up.root / ".plexctl" / "plexes"
    return {plex: Cluster(kubectl, folder / plex / "kubeconfig") for plex in SETTINGS}


def test_each_plex_has_its_version_while_the_other_runs(
    up: Lab, clusters: dict[str, Cluster]
) -> None:
    for plex, version in ((NEWER, NEWEST), (OLDER, OLD)):
        status = up.ask("status", plex)
        assert {node["version"] for node in status["nodes"]} == {f"v{version}"}
        assert all(node["ready"] for node in status["nodes"])
        served = json.loads(clusters[plex].run("get", "--raw", "/version"))
        assert served["gitVersion"] == f"v{version}"
        assert up.ask("plan", plex)["changes"] == []


def test_pods_have_the_images_of_the_kubeadm_of_their_version(clusters: dict[str, Cluster]) -> None:
    """What the image of a node lacks, nodes would pull from the Internet."""
    for plex, version in ((NEWER, NEWEST), (OLDER, OLD)):
        pods = clusters[plex].get("pods", "-n", "kube-system")["items"]
        used = {c["image"] for pod in pods for c in pod["spec"]["containers"]}
        pause = load_pins().release(version).images["pause"]
        assert used == set(load_pins().release(version).images.values()) - {pause}
        restarts = {
            c["name"]: c["restartCount"] for p in pods for c in p["status"]["containerStatuses"]
        }
        assert not any(restarts.values()), restarts


def test_the_older_one_is_born_complete_from_what_bake_has_recorded(up: Lab) -> None:
    assert host().execute(f"{OLDER}1", ("test", "-e", "/var/lib/plexctl/born")).code == 0
    recorded = Path(user_cache_path("plexctl") / FOLDER).glob(f"kubernetes-{OLD}-*.json")
    assert list(recorded)


def test_its_own_kubeadm_knows_its_certificates_and_its_configuration(up: Lab) -> None:
    checked = host().execute(
        f"{OLDER}1", ("kubeadm", "certs", "check-expiration", "-o", "json"), timeout=60
    )
    assert checked.code == 0, checked
    assert not json.loads(checked.stdout).get("missing")
    upgraded = host().execute(f"{OLDER}1", ("kubeadm", "upgrade", "node", "--dry-run"), timeout=120)
    assert upgraded.code == 0, upgraded


def test_versions_lists_both(up: Lab) -> None:
    assert row(up, NEWEST)["plexes"] == [NEWER]
    assert row(up, OLD)["plexes"] == [OLDER]
    assert row(up, OLD)["stored"]
    listed = {(one["component"], one["version"]) for one in up.ask("depot", "list")["components"]}
    assert {(KUBERNETES, OLD), (IMAGES, OLD), (KUBERNETES, NEWEST)} <= listed
