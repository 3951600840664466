"""The registry of a lab in hosts.yaml: its defaults and its faults."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from plexctl.config.load import load_lab
from plexctl.model.registry import UPSTREAMS, Registry

from .labs import VERSIONS, faults, lab


def with_registry(root: Path, text: str, **plexes: str) -> Path:
    return lab(root, clusters__hosts=f"hosts: {{local: {{}}}}\nregistry: {text}\n", **plexes)


def test_a_lab_has_no_registry_by_default(tmp_path: Path) -> None:
    assert load_lab(lab(tmp_path), VERSIONS).registry is None


def test_an_empty_mapping_is_a_registry_with_defaults(tmp_path: Path) -> None:
    registry = load_lab(with_registry(tmp_path, "{}"), VERSIONS).registry

    assert registry == Registry("registry", IPv4Network("10.64.63.0/24"), tuple(sorted(UPSTREAMS)))
    assert registry.endpoint == "10.64.63.2:5000"
    assert str(registry.gateway) == "10.64.63.1/24"


def test_its_type_is_built_in(tmp_path: Path) -> None:
    assert load_lab(with_registry(tmp_path, "{}"), VERSIONS).types["registry"].role == "registry"


def test_upstreams_can_be_replaced(tmp_path: Path) -> None:
    text = "{upstreams: {example.org: 'http://10.0.0.1:5000'}}"
    registry = load_lab(with_registry(tmp_path, text), VERSIONS).registry

    assert registry is not None
    assert registry.upstreams == (("example.org", "http://10.0.0.1:5000"),)


def test_its_volume_may_have_a_limit(tmp_path: Path) -> None:
    registry = load_lab(with_registry(tmp_path, "{size: 50GiB}"), VERSIONS).registry

    assert registry is not None
    assert registry.size == 50 << 30
    assert "must be a size with a unit" in faults(with_registry(tmp_path / "b", "{size: 50}"))[0]


def test_a_plex_with_its_name_is_rejected(tmp_path: Path) -> None:
    (fault,) = faults(with_registry(tmp_path, "{name: demo}", clusters__demo__plex=""))

    assert "registry.name: a plex is named 'demo' too" in fault


def test_a_plex_on_its_network_is_rejected(tmp_path: Path) -> None:
    plex = "networks: {nodes: 10.77.1.0/24}"
    root = with_registry(tmp_path, "{network: 10.77.0.0/16}", clusters__demo__plex=plex)
    (fault,) = faults(root)

    assert "the network of the registry" in fault


def test_every_fault_is_reported_with_its_line(tmp_path: Path) -> None:
    text = "{network: 10.0.0.0/30, upstreams: {docker.io: ftp://x}, colour: 1}"
    found = faults(with_registry(tmp_path, text))

    assert len(found) == 3
    assert all(fault.startswith("clusters/hosts.yaml:2 registry.") for fault in found)
