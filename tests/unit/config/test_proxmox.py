"""What a Proxmox host cannot carry is refused where it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.errors import ConfigError

HOST = {
    "kind": "proxmox",
    "url": "https://10.0.0.7:8006",
    "certificate": "ab" * 32,
    "bridge": "vmbr0",
    "proxmox": {"token": "plexctl@pve!lab"},
}
NETWORKS = {"link": "bridge", "nodes": "10.0.8.0/24", "router": "10.0.8.1"}


def written(root: Path, **plex: object) -> Path:
    for name, content in {
        "hosts.yaml": {"hosts": {"pve1": HOST}},
        "demo/plex.yaml": {"networks": NETWORKS, **plex},
    }.items():
        file = root / "clusters" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content))
    return root


def test_a_type_of_vms_is_taken(tmp_path: Path) -> None:
    lab = load_lab(written(tmp_path, type="kubevm"), ("1.36.3",))

    assert lab.hosts["pve1"].proxmox is not None
    assert lab.plexes["demo"].type.base.checksum


def test_a_type_of_containers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_lab(written(tmp_path, type="kube"), ("1.36.3",))

    (problem,) = error.value.problems
    assert problem.message == ("type kube is a container, and on a Proxmox host nodes are VMs")
    assert problem.field == "type"


def test_networks_of_its_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_lab(written(tmp_path, type="kubevm", networks={}), ("1.36.3",))

    assert "Proxmox host" in error.value.problems[0].message
