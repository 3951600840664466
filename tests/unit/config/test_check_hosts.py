"""What hosts lack, for themselves and for the plexes on them, is said where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.errors import ConfigError
from plexctl.model.nodes import nodes

FACTS = {"cgroup": 2, "cpus": 8, "memory": "64GiB"}
FAR = {"url": "https://10.0.0.7:8443", "certificate": "ab" * 32, "facts": FACTS}
PVE = {
    "kind": "proxmox",
    "url": "https://10.0.0.9:8006",
    "certificate": "cd" * 32,
    "bridge": "vmbr0",
    "proxmox": {"token": "plexctl@pve!lab"},
}
BRIDGE = {"link": "bridge", "nodes": "10.0.8.0/24", "router": "10.0.8.1"}


def written(
    root: Path,
    hosts: Mapping[str, Any],
    plex: Mapping[str, Any] | None = None,
    *,
    name: str = "demo",
    types: Mapping[str, Any] | None = None,
) -> Path:
    files = {"clusters/hosts.yaml": {"hosts": hosts}, f"clusters/{name}/plex.yaml": plex or {}}
    files |= {f"types/{one}.yaml": content for one, content in (types or {}).items()}
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(yaml.safe_dump(content, sort_keys=False))
    return root


def faults(root: Path) -> list[str]:
    """`file field: message (hint)` of each."""
    with pytest.raises(ConfigError) as error:
        load_lab(root, ("1.36.3",))
    return [
        f"{one.file.name} {one.field}: {one.message} ({one.hint})" for one in error.value.problems
    ]


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (
            {"far": {**FAR, "certificate": None}},
            "hosts.yaml hosts.far.certificate: is missing: it says which server is the right one "
            "(take the host out: `plexctl host add` then writes all of it)",
        ),
        (
            {"far": {**FAR, "facts": None}},
            "hosts.yaml hosts.far.facts: are missing "
            "(take the host out: `plexctl host add` then writes all of it)",
        ),
        (
            {"one": {}, "two": {}},
            "hosts.yaml hosts.two.socket: is the same server as host one "
            "(name each server once; `pool` is the same for all its nodes)",
        ),
        (
            {"one": FAR, "two": FAR},
            "hosts.yaml hosts.two.url: is the same server as host one "
            "(name each server once; `pool` is the same for all its nodes)",
        ),
        (
            {"one": {"proxmox": PVE["proxmox"]}},
            "hosts.yaml hosts.one.proxmox: is for `kind: proxmox` (leave it out)",
        ),
        (
            {"local": {}, "pve": {**PVE, "url": None, "certificate": None}},
            "hosts.yaml hosts.pve.url: is missing (as in https://10.0.0.7:8006)",
        ),
        (
            {"local": {}, "pve": {**PVE, "proxmox": None}},
            "hosts.yaml hosts.pve.proxmox: is missing (as in {token: plexctl@pve!lab})",
        ),
    ],
)
def test_what_a_host_lacks(tmp_path: Path, hosts: dict[str, dict[str, Any]], said: str) -> None:
    kept = {n: {k: v for k, v in one.items() if v is not None} for n, one in hosts.items()}
    assert faults(written(tmp_path, kept)) == [said]


def test_two_nodes_of_one_proxmox_cluster_are_two_hosts(tmp_path: Path) -> None:
    second = {**PVE, "proxmox": {**PVE["proxmox"], "node": "pve2"}}  # type: ignore[dict-item]
    plex = {"type": "kubevm", "hosts": ["pve1", "pve2"], "networks": BRIDGE}

    lab = load_lab(written(tmp_path, {"pve1": PVE, "pve2": second}, plex), ("1.36.3",))

    assert [node.host for node in nodes(lab.plexes["demo"])] == ["pve1", "pve2", "pve1"]


HERE = {"address": "10.0.0.5"}
TWO = {"local": HERE, "far": FAR}


@pytest.mark.parametrize(
    ("hosts", "plex", "said"),
    [
        (
            TWO,
            {"host": "local", "hosts": ["local", "far"]},
            "plex.yaml hosts: goes with no `host` (name them all in `hosts`)",
        ),
        (
            TWO,
            {"hosts": ["local", "fat"]},
            "plex.yaml hosts[1]: there is no host fat (did you mean `far`?)",
        ),
        (
            {"local": {}, "far": FAR},
            {"hosts": ["local", "far"]},
            "plex.yaml hosts: it is not known how other machines reach local "
            "(give local its `address` in clusters/hosts.yaml)",
        ),
        (
            TWO,
            {"hosts": ["local", "far"], "spread": "capacity"},
            "plex.yaml spread: the memory of host local is not known (give local its `facts` in "
            "clusters/hosts.yaml, as in `facts: {cgroup: 2, cpus: 8, memory: 64GiB}`)",
        ),
        (
            {"local": HERE, "far": {**FAR, "url": "https://far.example:8443"}},
            {"groups": [{"nodes": 2, "host": "far"}]},
            "plex.yaml hosts: it is not known how other machines reach far "
            "(give far its `address` in clusters/hosts.yaml)",
        ),
        (
            {"pve": PVE},
            {"type": "kubevm"},
            "plex.yaml networks.link: host pve is a Proxmox host, where plexctl makes no bridges "
            "(write `link: bridge`, and name its `bridge` in clusters/hosts.yaml)",
        ),
        (
            {"local": {}},
            {"networks": {"router": "10.0.8.1"}},
            "plex.yaml networks.router: goes with `link: bridge` (leave it out)",
        ),
        (
            {"local": {}},
            {"networks": {"vlan": 7}},
            "plex.yaml networks.vlan: goes with `link: bridge` (leave it out)",
        ),
        (
            {"local": {}},
            {"networks": BRIDGE},
            "plex.yaml networks.link: host local names no bridge (give it `bridge`)",
        ),
        (
            {"local": {"bridge": "br0"}},
            {"networks": {"link": "bridge", "nodes": "10.0.8.0/24"}},
            "plex.yaml networks.router: is missing (the address that leads out of the bridge)",
        ),
    ],
)
def test_what_the_hosts_of_a_plex_lack(
    tmp_path: Path, hosts: dict[str, Any], plex: dict[str, Any], said: str
) -> None:
    assert faults(written(tmp_path, hosts, plex)) == [said]


def test_a_bridge_needs_the_network_that_it_leads_to(tmp_path: Path) -> None:
    found = faults(
        written(tmp_path, {"local": {"bridge": "br0"}}, {"networks": {"link": "bridge"}})
    )
    assert "plex.yaml networks.nodes: is missing (the network that the bridge leads to)" in found


def test_from_a_bridge_only_the_registry_of_this_machine_is_asked(tmp_path: Path) -> None:
    plex = {"type": "kubevm", "networks": BRIDGE, "gitops": {"source": "registry"}, "host": "pve"}

    def registered(root: Path, hosts: Mapping[str, Any]) -> Path:
        file = written(root, hosts, plex) / "clusters" / "hosts.yaml"
        file.write_text(f"{file.read_text()}registry: {{}}\n")
        return root

    assert faults(registered(tmp_path, {"pve": PVE})) == [
        "plex.yaml gitops.source: from a bridge the registry of this machine is asked, and no "
        "host is this machine (name a git repository, or an artifact that is elsewhere)"
    ]
    assert load_lab(registered(tmp_path / "here", {"pve": PVE, "local": {}}), ("1.36.3",)).plexes


def test_a_name_that_interfaces_are_made_of_is_short(tmp_path: Path) -> None:
    (said,) = faults(written(tmp_path, TWO, {"hosts": ["local", "far"]}, name="lengthened"))
    assert said.startswith("plex.yaml : 'lengthened' is too long for a plex on several hosts (8 ")
    assert load_lab(written(tmp_path / "one", TWO, {}, name="lengthened"), ("1.36.3",))


def test_a_plex_has_nine_hosts_at_most(tmp_path: Path) -> None:
    hosts = {f"far{n}": {**FAR, "url": f"https://10.0.0.{n}:8443"} for n in range(1, 11)}
    (said,) = faults(written(tmp_path, hosts, {"hosts": list(hosts)}))
    assert said == "plex.yaml hosts: a plex has at most 9 hosts (name fewer)"


def test_a_device_that_a_host_does_not_have(tmp_path: Path) -> None:
    plex = {"groups": [{"nodes": 2, "type": "card", "host": "far"}]}
    layers = [{"name": "tools", "artifacts": ["kubernetes"]}]
    types = {"card": {"base": "debian12", "role": "admnode", "layers": layers, "pci": ["gpu"]}}

    assert faults(written(tmp_path, TWO, plex, types=types)) == [
        "plex.yaml groups[0].type: type card needs the PCI device gpu, and far has none "
        "(name it in `pci` of far in clusters/hosts.yaml)"
    ]


def test_spread_by_capacity(tmp_path: Path) -> None:
    small = {**HERE, "facts": {**FACTS, "memory": "16GiB"}}
    plex = {"hosts": ["local", "far"], "spread": "capacity", "workers": 4}

    lab = load_lab(written(tmp_path, {"local": small, "far": FAR}, plex), ("1.36.3",))

    assert [n.host for n in nodes(lab.plexes["demo"])] == ["far", "far", "local", "far", "far"]
