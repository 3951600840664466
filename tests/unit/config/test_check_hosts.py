"""Fields that hosts lack, for themselves and for plexes on them, are reported in their files."""

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
            {"here": {"project": "plexctl-1a2b"}},
            "hosts.yaml hosts.here.project: needs `url`: an Incus socket cannot be confined to a "
            "project (let `plexctl host trust` write these fields)",
        ),
        (
            {"here": {"this_machine": True}},
            "hosts.yaml hosts.here.this_machine: needs `url`: an Incus socket cannot be confined "
            "to a project (let `plexctl host trust` write these fields)",
        ),
        (
            {"local": {}, "pve1": {**PVE, "project": "plexctl-1a2b"}},
            "hosts.yaml hosts.pve1.project: applies to `kind: incus` only (remove it)",
        ),
        (
            {"far": {**FAR, "project": "../default"}},
            "hosts.yaml hosts.far.project: '../default' is not the name of an Incus project (use "
            "at most 40 of a-z, 0-9 and -; the first and the last must be letters or digits)",
        ),
        (
            {"far": {**FAR, "certificate": None}},
            "hosts.yaml hosts.far.certificate: is required with `url`: it identifies the server "
            "(remove the host, and add it again with `plexctl host add`, which writes this field)",
        ),
        (
            {"far": {**FAR, "facts": None}},
            "hosts.yaml hosts.far.facts: is required with `url` "
            "(remove the host, and add it again with `plexctl host add`, which writes this field)",
        ),
        (
            {"one": {}, "two": {}},
            "hosts.yaml hosts.two.socket: is the same server as host one "
            "(remove one of the two; a server has one entry for all plexes)",
        ),
        (
            {"one": FAR, "two": FAR},
            "hosts.yaml hosts.two.url: is the same server as host one "
            "(remove one of the two; a server has one entry for all plexes)",
        ),
        (
            {"one": {"proxmox": PVE["proxmox"]}},
            "hosts.yaml hosts.one.proxmox: applies to `kind: proxmox` only (remove it)",
        ),
        (
            {"local": {}, "pve": {**PVE, "url": None, "certificate": None}},
            "hosts.yaml hosts.pve.url: is required for a Proxmox host "
            "(for example https://10.0.0.7:8006)",
        ),
        (
            {"local": {}, "pve": {"kind": "proxmox", "proxmox": PVE["proxmox"]}},
            "hosts.yaml hosts.pve.url: is required for a Proxmox host "
            "(for example https://10.0.0.7:8006)",
        ),
        (
            {"local": {}, "pve": {**PVE, "proxmox": None}},
            "hosts.yaml hosts.pve.proxmox: is required for a Proxmox host "
            "(for example `proxmox: {token: plexctl@pve!lab}`)",
        ),
    ],
)
def test_a_host_lacks_a_field(tmp_path: Path, hosts: dict[str, dict[str, Any]], said: str) -> None:
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
            "plex.yaml hosts: cannot be combined with `host` "
            "(remove `host`, and list all hosts in `hosts`)",
        ),
        (
            TWO,
            {"hosts": ["local", "fat"]},
            "plex.yaml hosts[1]: there is no host fat (did you mean `far`?)",
        ),
        (
            {"local": {}, "far": FAR},
            {"hosts": ["local", "far"]},
            "plex.yaml hosts: host local has no address at which other machines reach it "
            "(add `address` to local in clusters/hosts.yaml)",
        ),
        (
            TWO,
            {"hosts": ["local", "far"], "spread": "capacity"},
            "plex.yaml spread: cannot be capacity: the memory of host local is not in "
            "clusters/hosts.yaml (add `facts` to local, for example "
            "`facts: {cgroup: 2, cpus: 8, memory: 64GiB}`)",
        ),
        (
            {"local": HERE, "far": {**FAR, "url": "https://far.example:8443"}},
            {"groups": [{"nodes": 2, "host": "far"}]},
            "plex.yaml hosts: host far has no address at which other machines reach it "
            "(add `address` to far in clusters/hosts.yaml)",
        ),
        (
            {"pve": PVE},
            {"type": "kubevm"},
            "plex.yaml networks.link: must be bridge: plexctl creates no bridges on the Proxmox "
            "host pve (write `link: bridge`, and the `bridge` of pve in clusters/hosts.yaml)",
        ),
        (
            {"local": {}},
            {"networks": {"router": "10.0.8.1"}},
            "plex.yaml networks.router: applies to `link: bridge` only (remove it)",
        ),
        (
            {"local": {}},
            {"networks": {"vlan": 7}},
            "plex.yaml networks.vlan: applies to `link: bridge` only (remove it)",
        ),
        (
            {"local": {}},
            {"networks": BRIDGE},
            "plex.yaml networks.link: cannot be bridge: host local has no `bridge` "
            "(add `bridge` to local in clusters/hosts.yaml, for example `bridge: br0`)",
        ),
        (
            {"local": {"bridge": "br0"}},
            {"networks": {"link": "bridge", "nodes": "10.0.8.0/24"}},
            "plex.yaml networks.router: is required with `link: bridge` "
            "(write the address of the router in the network of the bridge)",
        ),
    ],
)
def test_hosts_do_not_meet_the_requirements_of_a_plex(
    tmp_path: Path, hosts: dict[str, Any], plex: dict[str, Any], said: str
) -> None:
    assert faults(written(tmp_path, hosts, plex)) == [said]


def test_a_bridge_requires_its_network(tmp_path: Path) -> None:
    found = faults(
        written(tmp_path, {"local": {"bridge": "br0"}}, {"networks": {"link": "bridge"}})
    )
    assert (
        "plex.yaml networks.nodes: is required with `link: bridge` "
        "(write the network of the bridge)"
    ) in found


def test_nodes_on_a_bridge_use_only_the_registry_of_this_machine(tmp_path: Path) -> None:
    plex = {"type": "kubevm", "networks": BRIDGE, "gitops": {"source": "registry"}, "host": "pve"}

    def registered(root: Path, hosts: Mapping[str, Any]) -> Path:
        file = written(root, hosts, plex) / "clusters" / "hosts.yaml"
        file.write_text(f"{file.read_text()}registry: {{}}\n")
        return root

    assert faults(registered(tmp_path, {"pve": PVE})) == [
        "plex.yaml gitops.source: cannot be `registry`: with `link: bridge`, nodes use the "
        "registry of this machine, but no host is this machine "
        "(use the URL of a git repository or of an artifact)"
    ]
    assert load_lab(registered(tmp_path / "here", {"pve": PVE, "local": {}}), ("1.36.3",)).plexes


def test_the_name_of_a_plex_on_several_hosts_is_short(tmp_path: Path) -> None:
    (said,) = faults(written(tmp_path, TWO, {"hosts": ["local", "far"]}, name="lengthened"))
    assert said.startswith(
        "plex.yaml : 'lengthened' is too long as the name of a plex on several hosts "
    )
    assert load_lab(written(tmp_path / "one", TWO, {}, name="lengthened"), ("1.36.3",))


def test_a_plex_has_eight_hosts_at_most(tmp_path: Path) -> None:
    hosts = {f"far{n}": {**FAR, "url": f"https://10.0.0.{n}:8443"} for n in range(1, 10)}
    (said,) = faults(written(tmp_path, hosts, {"hosts": list(hosts)}))
    assert said == "plex.yaml hosts: has 9 hosts; a plex can have 8 (remove some)"


def test_a_host_lacks_a_device(tmp_path: Path) -> None:
    plex = {"groups": [{"nodes": 2, "type": "card", "host": "far"}]}
    layers = [{"name": "tools", "artifacts": ["kubernetes"]}]
    types = {"card": {"base": "debian12", "role": "admnode", "layers": layers, "pci": ["gpu"]}}

    assert faults(written(tmp_path, TWO, plex, types=types)) == [
        "plex.yaml groups[0].type: type card needs the PCI device gpu, which host far lacks "
        "(add it to `pci` of far in clusters/hosts.yaml)"
    ]


def test_capacity_distributes_nodes_by_memory(tmp_path: Path) -> None:
    small = {**HERE, "facts": {**FACTS, "memory": "16GiB"}}
    plex = {"hosts": ["local", "far"], "spread": "capacity", "workers": 4}

    lab = load_lab(written(tmp_path, {"local": small, "far": FAR}, plex), ("1.36.3",))

    assert [n.host for n in nodes(lab.plexes["demo"])] == ["far", "far", "local", "far", "far"]


def test_this_machine_over_https_needs_neither_facts_nor_an_address(tmp_path: Path) -> None:
    """`plexctl host trust` writes such a host: 127.0.0.1 is no address for other hosts."""
    here = {"url": "https://127.0.0.1:8443", "certificate": "ab" * 32, "this_machine": True}
    root = written(tmp_path, {"local": {**here, "project": "plexctl-1a2b"}}, {"workers": 1})
    lab = load_lab(root, ("1.36.3",))
    host, plex = lab.hosts["local"], lab.plexes["demo"]
    assert (host.local, host.confined, host.address) == (True, True, None)
    assert plex.api_forward is None


def test_opentofu_cannot_create_a_plex_where_the_lab_is_confined(tmp_path: Path) -> None:
    far = {**FAR, "project": "plexctl-1a2b"}
    root = written(tmp_path, {"far": far}, {"engine": "tofu"})
    assert faults(root) == [
        "plex.yaml engine: cannot be tofu: the lab is confined to a project on host far "
        "(write `engine: direct`)"
    ]
