"""Requests of `host prepare`: wrong values are refused, and the role gets every variable."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from plexctl.clients.ansible import PlayTask
from plexctl.config.builtin import builtin
from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind, Repository
from plexctl.model.limits import SYSCTLS
from plexctl.workflow.host.onboarding import onboarding
from plexctl.workflow.host.prepare import connection, full_address, items, url, variables
from plexctl.workflow.host.request import BridgeRequest, HostRequest, PoolRequest, SshTarget, check

ROLE = builtin("roles") / "host"
PLAIN = HostRequest("alpha")


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROLE / "library" / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"bridge": BridgeRequest("a name")}, "not a name of a network interface"),
        ({"bridge": BridgeRequest("br0", uplink="$(reboot)")}, "not a name of a network interface"),
        ({"pci": {"card": "01:00"}, "kind": HostKind.PROXMOX}, None),
        ({"pci": {"card": "1:0.0"}}, "not an address of a PCI device"),
        ({"vfio": ("10de",)}, "not a model of PCI device"),
        (
            {"kind": HostKind.PROXMOX, "bridge": BridgeRequest("br0")},
            "creates no bridge",
        ),
    ],
)
def test_wrong_values_are_refused_beforehand(asked: dict[str, Any], said: str | None) -> None:
    request = replace(PLAIN, **asked)
    if said is None:
        check_all(request)
        return
    with pytest.raises(UsageError, match=said):
        check_all(request)


def check_all(request: HostRequest) -> None:
    check(request)
    onboarding(request.kind).check(request)


def test_the_role_gets_every_variable_that_it_has_a_default_for(tmp_path: Path) -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert variables(PLAIN, tmp_path / "token").keys() == defaults.keys()


def test_the_role_gets_what_the_request_says(tmp_path: Path) -> None:
    request = HostRequest(
        "alpha",
        repository=Repository.ZABBLY,
        pool=PoolRequest(driver="btrfs", source="/dev/sdb"),
        pci={"card": "01:00.0"},
        vfio=("10DE:1B80",),
        wireguard=True,
        client="plexctl-lab",
    )
    found = variables(request, tmp_path / "token")
    assert found["host_sysctls"] == SYSCTLS
    assert found["host_repository"] == "zabbly"
    assert found["host_modules"] == ["overlay", "vxlan", "nf_tables", "wireguard"]
    assert found["host_pool"] == {
        "name": "default",
        "driver": "btrfs",
        "source": "/dev/sdb",
        "size": "60GiB",
    }
    assert found["host_proxmox_mappings"] == [{"name": "card", "path": "0000:01:00.0"}]
    assert found["host_vfio"] == ["10de:1b80"]
    assert found["host_iommu"] is True
    assert found["host_token_file"] == str(tmp_path / "token")


def test_a_request_without_a_pool_creates_none(tmp_path: Path) -> None:
    assert variables(replace(PLAIN, pool=None), tmp_path)["host_pool"] == {}


def test_only_known_host_keys_are_accepted_over_ssh() -> None:
    strict = connection(
        SshTarget("10.0.0.7", "ann", 2222, Path("/keys/id"), Path("/keys/known hosts"))
    )
    words = str(strict["ansible_ssh_common_args"])
    assert "StrictHostKeyChecking=yes" in words
    assert "BatchMode=yes" in words
    assert "known hosts" in words
    assert strict["ansible_become"] is True
    assert strict["ansible_port"] == 2222
    trusting = connection(SshTarget("10.0.0.7", accept_new=True))
    assert "StrictHostKeyChecking=accept-new" in str(trusting["ansible_ssh_common_args"])
    assert "ansible_become" not in trusting


def test_results_are_listed_by_item() -> None:
    done = [
        PlayTask("look", "Look", False),
        PlayTask("packages", "Install Incus", True),
        PlayTask("packages", "Look which are missing", False),
        PlayTask("bridge", "Look at the network", False),
        PlayTask("ifupdown", "Bring the bridge up", True),
        PlayTask("pool", "Look for the storage pool", False),
        PlayTask("answers", "Ask", False),
    ]
    found = [(item.name, item.changed, item.tasks) for item in items(done)]
    assert found == [
        ("packages", True, ("Install Incus",)),
        ("bridge", True, ("Bring the bridge up",)),
        ("pool", False, ()),
    ]


def test_the_url_of_a_prepared_host() -> None:
    said = {"host_addresses": ["10.9.0.1:8443", "10.0.0.7:8443"]}
    assert url(PLAIN, said) == "https://10.9.0.1:8443"
    # As it was reached: it may have addresses that nobody else knows a way to.
    reached = replace(PLAIN, reach=SshTarget("10.0.0.7"))
    assert url(reached, said) == "https://10.0.0.7:8443"
    assert url(replace(reached, reach=SshTarget("fd00::7")), said) == "https://[fd00::7]:8443"
    bound = {"host_addresses": ["10.9.0.1:8443"]}
    assert url(replace(reached, https="10.9.0.1:8443"), bound) == "https://10.9.0.1:8443"
    assert url(PLAIN, {}) is None


def test_a_pci_address_gets_its_domain() -> None:
    assert full_address("01:00.0") == "0000:01:00.0"
    assert full_address("0001:0A:00.0") == "0001:0a:00.0"


def test_kernel_settings_are_raised_and_never_lowered(tmp_path: Path) -> None:
    proc, file = tmp_path / "proc", tmp_path / "60-plexctl.conf"
    (proc / "kernel/keys").mkdir(parents=True)
    low, high = proc / "kernel/keys/maxkeys", proc / "kernel/keys/maxbytes"
    low.write_text("200\n")
    high.write_text("9000000\n")
    file.write_text("net.ipv4.ip_forward=1\n")
    least = {"kernel.keys.maxkeys": 20000, "kernel.keys.maxbytes": 2000000, "net.none": 1}
    raise_settings = module("plex_sysctls").raise_settings

    dry, _, _ = raise_settings(least, file, proc=proc, check=True)
    assert dry == ["kernel.keys.maxkeys 200 -> 20000"]
    assert low.read_text() == "200\n"

    raised, notes, changed = raise_settings(least, file, proc=proc)
    assert changed
    assert raised == dry
    assert notes == ["the setting net.none is not visible here: fewer nodes may fit"]
    assert (low.read_text(), high.read_text()) == ("20000\n", "9000000\n")
    assert file.read_text() == "net.ipv4.ip_forward=1\nkernel.keys.maxkeys=20000\n"

    assert raise_settings(least, file, proc=proc)[2] is False


def test_a_setting_that_cannot_be_raised_is_a_note(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    (proc / "a").mkdir(parents=True)

    class Fixed(type(proc)):  # type: ignore[misc]
        def write_text(self, *words: Any, **more: Any) -> int:
            raise PermissionError

    Path(proc / "a/b").write_text("1\n")
    raised, notes, changed = module("plex_sysctls").raise_settings(
        {"a.b": 5}, tmp_path / "none", proc=Fixed(proc)
    )
    assert (raised, changed) == ([], False)
    assert notes == ["a.b is 1 and cannot be raised to 5 here"]
    assert not (tmp_path / "none").exists()


def test_modules_are_loaded_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "load" / "plexctl.conf"
    there = {"overlay"}
    loaded, notes = module("plex_modules").load(
        ["overlay", "vxlan", "nf_tables"],
        ["wireguard"],
        file,
        there=there.__contains__,
        modprobe={"vxlan"}.__contains__,
    )
    assert loaded == ["vxlan"]
    assert notes == ["the kernel has no module nf_tables, or it cannot be loaded from here"]
    assert file.read_text() == "vxlan\n"


@pytest.mark.parametrize("where", ["sys/module/wireguard/version", "proc/filesystems", "symbols"])
def test_a_module_that_is_built_in_is_found(tmp_path: Path, where: str) -> None:
    for folder in ("sys/module/wireguard", "proc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sys/module/wireguard/version").write_text("1\n")
    (tmp_path / "proc/filesystems").write_text("nodev\toverlay\n\text4\n")
    (tmp_path / "proc/kallsyms").write_text("0000 t nf_tables_init\n")
    is_there = module("plex_modules").is_there
    name = {"symbols": "nf_tables", "proc/filesystems": "overlay"}.get(where, "wireguard")
    assert is_there(name, tmp_path)
    assert not is_there("vxlan", tmp_path)
