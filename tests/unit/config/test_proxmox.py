"""Settings that a Proxmox host does not support are reported at their fields."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.errors import ConfigError
from plexctl.model.lab import Lab

HOST = {
    "kind": "proxmox",
    "url": "https://10.0.0.7:8006",
    "certificate": "ab" * 32,
    "bridge": "vmbr0",
    "proxmox": {"token": "plexctl@pve!lab"},
}
LOGIN: dict[str, object] = {"ssh": "root@10.0.0.7"}
NETWORKS = {"link": "bridge", "nodes": "10.0.8.0/24", "router": "10.0.8.1"}


def loaded(root: Path, host: dict[str, object] | None = None, **plex: object) -> Lab:
    for name, content in {
        "hosts.yaml": {"hosts": {"pve1": {**HOST, **(host or {})}}},
        "demo/plex.yaml": {"networks": NETWORKS, **plex},
    }.items():
        file = root / "clusters" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content))
    return load_lab(root, ("1.36.3",))


def refused(root: Path, host: dict[str, object] | None = None, **plex: object) -> tuple[str, str]:
    """Field and message of the one problem that there is."""
    with pytest.raises(ConfigError) as error:
        loaded(root, host, **plex)
    (problem,) = error.value.problems
    return problem.field, problem.message


def with_device(root: Path) -> None:
    """The type `card`: a container with a GPU."""
    (root / "types").mkdir()
    kube = {"role": "kubenode", "base": "debian12", "kubernetes": True, "privileged": True}
    layers = [{"name": "runtime", "artifacts": ["containerd", "runc", "cni-plugins"]}]
    card = {**kube, "layers": layers, "pci": ["gpu"]}
    (root / "types" / "card.yaml").write_text(yaml.safe_dump(card))


def test_a_type_of_vms_is_accepted(tmp_path: Path) -> None:
    lab = loaded(tmp_path, type="kubevm")

    assert lab.hosts["pve1"].proxmox is not None
    assert lab.plexes["demo"].type.base.checksum


def test_a_type_of_containers_is_accepted_with_an_ssh_login(tmp_path: Path) -> None:
    lab = loaded(tmp_path, LOGIN, type="kube")

    assert lab.hosts["pve1"].ssh == "root@10.0.0.7"


def test_a_container_requires_an_ssh_login(tmp_path: Path) -> None:
    assert refused(tmp_path, type="kube") == (
        "type",
        "type kube is a container, and plexctl needs SSH to pve1 to write files into containers",
    )


def test_a_container_cannot_have_a_pci_device(tmp_path: Path) -> None:
    with_device(tmp_path)

    assert refused(tmp_path, {**LOGIN, "pci": {"gpu": "rtx4090"}}, type="card") == (
        "type",
        "type card is a container, and on pve1 only VMs can have PCI devices",
    )


def test_opentofu_creates_no_containers(tmp_path: Path) -> None:
    assert refused(tmp_path, LOGIN, type="kube", engine="tofu") == (
        "type",
        "type kube is a container, and on pve1 OpenTofu creates only VMs",
    )


def test_own_networks_are_rejected(tmp_path: Path) -> None:
    _, message = refused(tmp_path, type="kubevm", networks={})

    assert "Proxmox host" in message
