"""Digests of layers, and checks of the built-in roles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from plexctl.bake.roles import role_digests, task_count
from plexctl.config.builtin import builtin
from plexctl.errors import PlexError

from .host import KUBE, role_folder

ROLES = builtin("roles")


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    role_folder(tmp_path, "base", "base")
    kubenode = role_folder(tmp_path, "kubenode", "runtime", "kube")
    (kubenode / "files" / "kube" / "bin").mkdir(parents=True)
    (kubenode / "files" / "kube" / "bin" / "boot").write_text("#!/bin/sh\n")
    return tmp_path


def changed(roles: Path, before: dict[tuple[str, str], str]) -> set[str]:
    after = role_digests(lambda role: roles / role, [KUBE])
    assert after.keys() == before.keys()
    return {layer for (role, layer), digest in after.items() if digest != before[role, layer]}


def digests(roles: Path) -> dict[tuple[str, str], str]:
    return role_digests(lambda role: roles / role, [KUBE])


def test_only_its_own_files_decide_a_layer(roles: Path) -> None:
    before = digests(roles)
    assert set(before) == {("base", "base"), ("kubenode", "runtime"), ("kubenode", "kube")}

    (roles / "kubenode" / "files" / "kube" / "bin" / "boot").write_text("#!/bin/sh -e\n")
    assert changed(roles, before) == {"kube"}


def test_a_program_that_is_no_longer_executable_is_another_layer(roles: Path) -> None:
    before = digests(roles)
    (roles / "kubenode" / "files" / "kube" / "bin" / "boot").chmod(0o755)
    assert changed(roles, before) == {"kube"}


def test_a_renamed_file_is_another_layer(roles: Path) -> None:
    before = digests(roles)
    folder = roles / "kubenode" / "files" / "kube" / "bin"
    (folder / "boot").rename(folder / "boot2")
    assert changed(roles, before) == {"kube"}


def test_defaults_count_for_all_layers_of_their_role(roles: Path) -> None:
    before = digests(roles)
    (roles / "kubenode" / "defaults").mkdir()
    (roles / "kubenode" / "defaults" / "main.yml").write_text("x: 1\n")
    assert changed(roles, before) == {"runtime", "kube"}


def test_the_folder_of_a_role_does_not_count(roles: Path, tmp_path: Path) -> None:
    before = digests(roles)
    elsewhere = tmp_path / "elsewhere"
    (roles / "kubenode").rename(elsewhere)
    folders = {"base": roles / "base", "kubenode": elsewhere}
    assert role_digests(folders.__getitem__, [KUBE]) == before


def test_a_layer_without_tasks_is_an_error(roles: Path) -> None:
    (roles / "kubenode" / "tasks" / "kube.yml").unlink()
    with pytest.raises(PlexError, match="kubenode has no layer 'kube'"):
        digests(roles)


@pytest.mark.parametrize(
    ("tasks", "count"),
    [
        ("---\n- name: One\n  b:\n    - x\n- name: Two\n  c: !unsafe '{{ d }}'\n", 2),
        ("", 1),
        ("- name: [no end\n", 1),
        ("\xff", 1),
    ],
)
def test_yaml_that_only_ansible_can_read_is_no_error(roles: Path, tasks: str, count: int) -> None:
    (roles / "kubenode" / "tasks" / "kube.yml").write_text(tasks, encoding="latin-1")
    assert task_count(roles / "kubenode", "kube") == count


@pytest.mark.parametrize("file", sorted(ROLES.glob("*/tasks/*.yml")), ids=lambda p: p.stem)
def test_every_task_has_a_name_that_progress_can_show(file: Path) -> None:
    tasks = yaml.safe_load(file.read_text())
    assert tasks
    assert all(task["name"] for task in tasks)


@pytest.mark.parametrize(
    "program", sorted(ROLES.glob("*/files/**/lib/plexctl/*")), ids=lambda p: p.name
)
def test_programs_of_nodes_are_executable_and_parse(program: Path) -> None:
    assert program.stat().st_mode & 0o111
    source = program.read_text()
    if source.startswith("#!/usr/bin/python3"):
        compile(source, program.name, "exec")
    else:
        subprocess.run(["/bin/sh", "-n", program], check=True)


def test_units_start_only_programs_of_their_role() -> None:
    for unit in ROLES.glob("*/files/**/*.service"):
        for line in unit.read_text().splitlines():
            if line.startswith("ExecStart=/usr/local/lib/plexctl/"):
                files = unit.parents[3]
                assert (files / line.removeprefix("ExecStart=/")).is_file(), line
