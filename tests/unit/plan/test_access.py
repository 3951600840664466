"""Ansible's variables of the nodes of a plex."""

from __future__ import annotations

import shlex
from pathlib import Path

from plexctl.model.plex import Plex
from plexctl.plan.access import inventory


def test_a_lab_may_be_in_a_folder_with_a_space(demo: Plex) -> None:
    shown = inventory(Path("/my labs"), ((demo, Path("/my labs/demo")),))
    assert shown["all"]["vars"] == {"plexctl_lab": "/my labs"}
    words = shlex.split(shown["_meta"]["hostvars"]["demo1"]["ansible_ssh_common_args"])
    assert words == ["-F", "/my labs/demo/ssh_config"]
