"""Hosts are added to hosts.yaml and removed from it; everything else in the file stays."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml

from plexctl.config.edit_hosts import host_fields, remove_host, set_host
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostFacts, HostSpec, Proxmox
from plexctl.model.kinds import HostKind

SECOND = {"kind": "incus", "url": "https://10.0.0.7:8443", "pool": "fast"}
ENTRY = """\
  second:
    kind: incus
    url: https://10.0.0.7:8443
    pool: fast
"""
HEAD = """\
# What runs nodes. ü
hosts:
  local:   # the one under the desk
    kind: incus
    parallel: 4      # no more
"""
TAIL = """\

# The registry
registry: {}   # as it comes
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hosts.yaml"


def added(file: Path, text: str, fields: dict[str, Any] = SECOND) -> str:
    file.write_text(text)
    assert set_host(file.parent, file, "second", fields)
    return file.read_text()


def test_a_new_host_is_added_at_the_end(file: Path) -> None:
    assert added(file, HEAD + TAIL) == HEAD + ENTRY + TAIL
    assert not set_host(file.parent, file, "second", SECOND)  # nothing is left to do
    assert remove_host(file.parent, file, "second")
    assert file.read_text() == HEAD + TAIL
    assert not remove_host(file.parent, file, "second")


def test_an_existing_host_is_replaced_in_place(file: Path) -> None:
    third = "  third: {kind: incus, socket: /run/third}  # of flow style\n"
    old = "  second:  # it was slow\n    pool: slow\n    parallel: 2\n"
    new = """\
  second:
    pool: fast
    parallel: 2
    kind: incus
    url: https://10.0.0.7:8443
"""
    assert added(file, HEAD + old + third + TAIL) == HEAD + new + third + TAIL


def test_a_host_in_flow_style_is_replaced(file: Path) -> None:
    found = added(file, "hosts:\n  second: {kind: proxmox}\n  local: {}\n")
    assert found == f"hosts:\n{ENTRY}  local: {{}}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hosts:\n  local:", "hosts:\n  local:\n" + ENTRY),  # no newline at the end
        ("hosts:\n  local: {}\n", "hosts:\n  local: {}\n" + ENTRY),
        (
            "hosts:\n      local:\n            kind: incus\n",
            "hosts:\n      local:\n            kind: incus\n" + indent(ENTRY, "    "),
        ),
        (
            "secrets: {epoch: 1}\nhosts:\n  local:\n    pci:\n    - a\n    - b\n# end\n",
            "secrets: {epoch: 1}\nhosts:\n  local:\n    pci:\n    - a\n    - b\n"
            + ENTRY
            + "# end\n",
        ),
    ],
)
def test_unusual_layouts_are_kept(file: Path, text: str, wanted: str) -> None:
    found = added(file, text)
    assert found == wanted
    assert yaml.safe_load(found)["hosts"]["second"] == SECOND


@pytest.mark.parametrize(
    "text",
    [
        "hosts: {local: {}}\n",  # one line
        "hosts:\n",
        "local: {}\n",
        "hosts: [local]\n",
        "hosts:\n  local: &one {kind: incus}\n  second: *one\n  third: *one\n",
        "hosts: {\n",
        "",
    ],
)
def test_a_file_that_cannot_be_changed_safely_stays(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(PlexError) as error:
        set_host(file.parent, file, "second", SECOND)
    assert error.value.summary == f"cannot change host second in {file}"
    assert (
        error.value.hint
        == "edit the file yourself: its `hosts` is not a block with one host after another"
    )
    assert file.read_text() == text


def test_a_missing_file_is_an_error(file: Path) -> None:
    with pytest.raises(PlexError, match="cannot change host second"):
        set_host(file.parent, file, "second", SECOND)


def test_a_link_stays_and_its_target_keeps_its_mode(tmp_path: Path, file: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text(HEAD)
    real.chmod(0o640)
    file.symlink_to(real)

    assert set_host(file.parent, file, "second", SECOND)

    assert file.is_symlink()
    assert real.read_text() == HEAD + ENTRY
    assert real.stat().st_mode & 0o777 == 0o640


def test_other_fields_of_a_proxmox_host_stay(file: Path) -> None:
    file.write_text(
        "hosts:\n  pve1:\n    kind: proxmox\n    proxmox: {clone: full, token: a@b!c}\n"
    )
    host = HostSpec(
        "pve1",
        HostKind.PROXMOX,
        "",
        "local-lvm",
        4,
        url="https://10.0.0.8:8006",
        certificate="ab" * 32,
        facts=HostFacts(2, True, 8, 64 << 30),
        pci={"gpu": "gpu"},
        proxmox=Proxmox("node1", "plexctl@pve!lab", iso="images"),
    )

    assert set_host(file.parent, file, "pve1", host_fields(host))

    assert yaml.safe_load(file.read_text())["hosts"]["pve1"] == {
        "kind": "proxmox",
        "url": "https://10.0.0.8:8006",
        "certificate": "ab" * 32,
        "pool": "local-lvm",
        "pci": {"gpu": "gpu"},
        "facts": {"cgroup": 2, "sys_resource": True, "cpus": 8, "memory": "65536MiB"},
        "proxmox": {
            "clone": "full",
            "token": "plexctl@pve!lab",
            "node": "node1",
            "iso": "images",
        },
    }
