"""Ansible's variables of the nodes of a plex."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from plexctl.errors import UsageError
from plexctl.model.plex import Plex
from plexctl.model.ssh_words import quoted
from plexctl.plan.access import inventory, ssh_config


def test_a_lab_may_be_in_a_folder_with_a_space(demo: Plex) -> None:
    shown = inventory(Path("/my labs"), ((demo, Path("/my labs/demo")),))
    assert shown["all"]["vars"] == {"plexctl_lab": "/my labs"}
    words = shlex.split(shown["_meta"]["hostvars"]["demo1"]["ansible_ssh_common_args"])
    assert words == ["-F", "/my labs/demo/ssh_config"]


def test_a_folder_with_the_name_of_a_template_runs_nothing(demo: Plex, tmp_path: Path) -> None:
    """Ansible evaluates the values of an inventory where a play uses them."""
    ran = tmp_path / "ran"
    folder = tmp_path / "{{ lookup('pipe', 'touch $RAN') }}"
    script = tmp_path / "inventory"
    content = json.dumps(inventory(folder, ((demo, folder / "demo"),)))
    script.write_text(f"#!/usr/bin/env python3\nprint({content!r})\n")
    script.chmod(0o755)
    shown = "{{ plexctl_lab ~ ansible_ssh_common_args }}"
    done = subprocess.run(
        ("ansible", "-i", script, "demo1", "-m", "debug", "-a", json.dumps({"msg": shown})),
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "RAN": str(ran),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lookup('pipe'" in done.stdout
    assert not ran.exists()


ODD = """50%off %d "x" a\\b 'c' $HOME `id` #d = e ä"""


def test_ssh_finds_the_files_of_a_lab_in_any_folder(tmp_path: Path, demo: Plex) -> None:
    folder = tmp_path / ODD
    (tmp_path / "ssh_config").write_text(ssh_config(demo, folder))
    shown = _resolved("-F", str(tmp_path / "ssh_config"), "demo2")
    assert shown["userknownhostsfile"] == str(folder / "known_hosts")
    # ssh expands this one later: `ssh -G` prints it as it is in the file.
    assert shown["identityfile"].replace("%%", "%") == str(folder / "id_ed25519")
    assert "%%o" in shown["identityfile"]
    assert shown["stricthostkeychecking"] == "true"
    option = f"UserKnownHostsFile={quoted(folder)}"
    assert _resolved("-F", "/dev/null", "-o", option, "x")["userknownhostsfile"] == str(folder)


def _resolved(*words: str) -> dict[str, str]:
    """The options that ssh uses."""
    done = subprocess.run(["ssh", "-G", *words], capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["${HOME}", "a\n  ProxyCommand id", "a\rb", "a\0b"])
def test_a_folder_that_no_ssh_config_can_contain_is_refused(demo: Plex, name: str) -> None:
    with pytest.raises(UsageError, match="refusing to use") as caught:
        ssh_config(demo, Path("/srv") / name)
    assert caught.value.hint
    assert "\n" not in caught.value.summary
