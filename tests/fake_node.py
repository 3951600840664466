"""A Proxmox node as SSH reaches it: scripts run here, on folders that stand for the node's own."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

SSH = """\
#!{python}
import json, pathlib, re, subprocess, sys

folder = pathlib.Path({folder!r})
words = sys.argv[1:]
place = next(n for n, word in enumerate(words) if "@" in word and "=" not in word)
content = sys.stdin.buffer.read()
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([words[: place + 1], words[place + 1 :], len(content)]) + "\\n")
if (folder / "refuses").exists():
    sys.exit("Permission denied (publickey).")
script, given = words[place + 1], content
if script == "/bin/sh -s":
    script, given = content.decode(), b""
for number in re.findall(r"/etc/pve/lxc/(\\d+)", script):
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / f"{{number}}.conf").touch()
script = script.replace("/etc/pve/lxc/", f"{{folder}}/conf/")
script = script.replace("/var/lib/lxc/", f"{{folder}}/lxc/")
environment = {{"PATH": f"{{folder}}/sbin:/usr/bin:/bin"}}
sys.exit(subprocess.run(["/bin/sh", "-c", script], input=given, env=environment).returncode)
"""

PCT = """\
#!/bin/sh
set -eu
folder={folder}/lxc/${{2-}}
case $1 in
mount) mkdir -p "$folder/rootfs"; test ! -e "$folder/mounted"; touch "$folder/mounted" ;;
unmount) rm "$folder/mounted" ;;
exec) shift 3; echo "$@"; exit 7 ;;
*) exit 64 ;;
esac
"""


@dataclass(frozen=True)
class Node:
    folder: Path

    @property
    def path(self) -> str:
        """For PATH: `ssh` there leads to the node."""
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def calls(self) -> list[tuple[list[str], list[str], int]]:
        """Of `ssh`: its options with the address, what it is to run, and how much it was fed."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def config(self, vmid: int) -> str:
        """The settings that were added to a container."""
        return (self.folder / "conf" / f"{vmid}.conf").read_text()

    def file(self, vmid: int, path: str) -> Path:
        """A file within a container."""
        return self.folder / "lxc" / str(vmid) / "rootfs" / path.removeprefix("/")

    def mounted(self) -> list[Path]:
        """Containers whose files were left mounted."""
        return list(self.folder.glob("lxc/*/mounted"))

    def refuse(self) -> None:
        (self.folder / "refuses").touch()

    def accept(self) -> None:
        (self.folder / "refuses").unlink()


def install(folder: Path) -> Node:
    """A node whose files are in `folder`."""
    for name, text in (("bin/ssh", SSH), ("sbin/pct", PCT)):
        program = folder / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
    return Node(folder)
