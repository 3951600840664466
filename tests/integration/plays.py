"""Plays of roles/plays, run as people do who run Ansible themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .support import CHECKOUT, PLEXCTL, Lab

CONFIG = """\
[defaults]
inventory = inventory
stdout_callback = ansible.builtin.default
"""
RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) .*failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    code: int
    text: str

    @property
    def changed(self) -> dict[str, int]:
        """By host, how many tasks have changed something."""
        return {name: int(changed) for name, changed, _ in RECAP.findall(self.text)}


def play(lab: Lab, name: str, *settings: str) -> Played:
    """Run a play over the lab's inventory; each of `settings` is a VAR=VAL."""
    script = lab.root / "inventory"
    script.write_text(f'#!/bin/sh\nexec {PLEXCTL} -C {lab.root} inventory "$@"\n')
    script.chmod(0o700)
    (lab.root / "ansible.cfg").write_text(CONFIG)
    words = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        str(CHECKOUT / "roles/plays" / name),
    ]
    for setting in (f"plexctl={PLEXCTL}", *settings):
        words += ["-e", setting]
    done = subprocess.run(
        words,
        cwd=lab.root,
        env={
            **os.environ,
            "XDG_CONFIG_HOME": str(lab.home),
            "ANSIBLE_NOCOLOR": "1",
            **lab.environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Played(done.returncode, done.stdout + done.stderr)
