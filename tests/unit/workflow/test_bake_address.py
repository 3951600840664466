"""The address of a VM while a Proxmox host bakes its template."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.errors import PlexError
from plexctl.model.lab import Lab
from plexctl.workflow.images.address import bake_address

HOST = {
    "kind": "proxmox",
    "url": "https://10.0.0.7:8006",
    "certificate": "ab" * 32,
    "bridge": "vmbr0",
    "proxmox": {"token": "plexctl@pve!lab"},
}
SMALL = {"link": "bridge", "nodes": "10.0.8.0/28", "router": "10.0.8.1"}
LARGE = {"link": "bridge", "nodes": "10.0.9.0/24", "router": "10.0.9.1"}


def lab(root: Path, **plexes: dict[str, object]) -> Lab:
    files: dict[str, object] = {f"{name}/plex": plex for name, plex in plexes.items()}
    for name, content in {"hosts": {"hosts": {"pve1": HOST}}, **files}.items():
        file = root / "clusters" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content))
    return load_lab(root, ("1.36.3",))


def plex(workers: int, networks: dict[str, str]) -> dict[str, object]:
    return {"workers": workers, "type": "kubevm", "networks": networks}


def test_it_is_the_last_address_of_a_plex_that_is_not_full(tmp_path: Path) -> None:
    there = bake_address(lab(tmp_path, small=plex(2, SMALL)), "pve1")
    assert (str(there.address), str(there.router)) == ("10.0.8.14/28", "10.0.8.1")

    beside = lab(tmp_path, small=plex(3, SMALL), spare=plex(3, LARGE))
    assert str(bake_address(beside, "pve1").address) == "10.0.9.254/24"


def test_it_is_never_the_address_of_a_node(tmp_path: Path) -> None:
    with pytest.raises(PlexError, match="plex small has no free address"):
        bake_address(lab(tmp_path, small=plex(3, SMALL)), "pve1")
