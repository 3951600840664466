"""The first files of a lab."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.config.init import write_first
from plexctl.config.load import load_lab
from plexctl.config.networks import default_networks, each
from plexctl.errors import UsageError


def test_an_empty_folder_becomes_a_valid_lab(tmp_path: Path) -> None:
    written = write_first(tmp_path, "demo", kubernetes="1.36")
    assert [str(file.relative_to(tmp_path)) for file in written] == [
        "clusters/hosts.yaml",
        "clusters/demo/plex.yaml",
        ".gitignore",
    ]
    demo = load_lab(tmp_path, ["1.35.1", "1.36.3", "1.37.0"]).plexes["demo"]
    assert (demo.kubernetes, demo.workers) == ("1.36.3", 2)
    assert demo.networks == default_networks("demo")
    assert (tmp_path / ".gitignore").read_text() == ".plexctl/\n"


def test_a_second_plex_has_networks_of_its_own(tmp_path: Path) -> None:
    write_first(tmp_path, "demo")
    used = each(default_networks("other")).values()
    (written,) = write_first(tmp_path, "other", used=[*used, IPv4Network("10.64.0.0/24")])
    assert written == tmp_path / "clusters/other/plex.yaml"
    other = load_lab(tmp_path, ["1.36.3"]).plexes["other"]
    assert not any(network in used for network in each(other.networks).values())


def test_existing_files_stay(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log")
    hosts = tmp_path / "clusters/hosts.yaml"
    hosts.parent.mkdir()
    hosts.write_text("hosts: {mine: {parallel: 2}}\n")
    write_first(tmp_path, "demo")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert write_first(tmp_path, "demo") == ()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert hosts.read_text() == "hosts: {mine: {parallel: 2}}\n"
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.plexctl/\n"


def test_editors_find_the_schemas_also_in_a_clone(tmp_path: Path) -> None:
    write_first(tmp_path, "demo")
    for file in tmp_path.glob("clusters/**/*.yaml"):
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
        assert named
        (schema := file.parent / named[1]).unlink()
        assert write_first(tmp_path, "demo") == ()
        assert schema.exists()


def test_the_commented_group_is_valid(tmp_path: Path) -> None:
    write_first(tmp_path, "demo")
    file = tmp_path / "clusters/demo/plex.yaml"
    file.write_text(re.sub(r"^# (groups:|  - )", r"\1", file.read_text(), flags=re.MULTILINE))
    (group,) = load_lab(tmp_path, ["1.36.3"]).plexes["demo"].groups
    assert group.nodes == {2, 3}


def test_nothing_is_written_for_an_invalid_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'demo1' cannot be the name"):
        write_first(tmp_path, "demo1")
    assert list(tmp_path.iterdir()) == []
