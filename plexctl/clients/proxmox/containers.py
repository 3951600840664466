"""Containers of a Proxmox node. Its API takes no files and few settings: the rest is by SSH."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from plexctl.clients.proxmox import observed as seen
from plexctl.clients.proxmox.guests import MOVE, ProxmoxGuests
from plexctl.clients.ssh import SshClient
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.observed import ObservedImage

LOGIN = re.compile(r"(?P<user>[^@]+)@(?P<address>[^:]+)(:(?P<port>\d+))?")

SETTLE = 60.0
"""Seconds that what is done over SSH may take."""

# `pct push` takes running containers only, and a node has its files before it starts. Root of an
# unprivileged container is another user out here: the one who has its files.
GIVE = """\
set -eu
pct mount {vmid} >/dev/null
trap 'pct unmount {vmid} >/dev/null' EXIT
trap 'exit 1' HUP INT TERM
umask 077
mkdir -p {root}{folder}
cat >{root}{file}
chown --reference={root} {root}{folder} {root}{file}
"""

# A stopped container has one section; what is there of a run that was interrupted goes.
ADD = """\
set -eu
umask 077
file=/etc/pve/lxc/{vmid}.conf
kept=$(sed '/^lxc\\./d' "$file")
added=$(cat)
printf '%s\\n%s\\n' "$kept" "$added" >"$file"
"""


class ProxmoxContainers(ProxmoxGuests):
    """What is different of containers. Calls are bounded in time (seconds)."""

    @property
    def login(self) -> SshClient:
        """To the node itself, as the user's own SSH has it. PlexError if nobody says how."""
        found = LOGIN.fullmatch(self.host.ssh or "")
        if found is None:
            raise PlexError(
                f"host {self.host.name} has containers, and nobody says how to log in to it",
                hint=f"give {self.host.name} `ssh` in clusters/hosts.yaml, as in root@10.0.0.7",
            )
        port = int(found["port"]) if found["port"] else None
        return SshClient(found["address"], found["user"], port=port)

    def archives(self) -> tuple[ObservedImage, ...]:
        """plexctl's templates of containers: archives on the storage for them."""
        if self.host.ssh is None:
            return ()
        storage = self.settings.iso
        what = f"read storage {storage}"
        place = (*self.node, "storage", storage, "content")
        found = self._call(what, "get", *place, content="vztmpl")
        images = (seen.archive(str(one["volid"]), int(one["size"])) for one in found)
        return tuple(image for image in images if image is not None)

    def upload_archive(self, file: Path, checksum: str) -> str:
        """Put a container's template onto the storage under the name of `file`; its volume.

        `checksum` is the SHA-256 of all of it, in hex. One of that name goes.
        """
        storage = self.settings.iso
        self._task(
            f"upload {file.name} to storage {storage}",
            "post",
            *self.node,
            "storage",
            storage,
            "upload",
            content="vztmpl",
            filename=file,
            checksum=checksum,
            **{"checksum-algorithm": "sha256"},
            deadline=MOVE,
        )
        return f"{storage}:vztmpl/{file.name}"

    def create_container(
        self, name: str, archive: str, tags: Mapping[str, str], options: Mapping[str, object]
    ) -> int:
        """Make a stopped container of a template, by volume; returns its identifier.

        What an interrupted run has left under this name is removed.
        """
        self.delete_instance(name)
        made = {**options, "hostname": name, "ostemplate": archive}
        made |= {"tags": seen.words(tags), "description": seen.notes(tags)}
        return self._taking_a_number(
            lambda number: self._task(
                f"make {name}", "post", *self.node, "lxc", vmid=number, deadline=MOVE, **made
            )
        )

    def set_raw(self, vmid: int, lines: tuple[str, ...]) -> None:
        """Give a stopped container settings of LXC's own, as "lxc.cap.drop: …"."""
        content = "".join(f"{line}\n" for line in lines).encode()
        self._feed(ADD.format(vmid=vmid), content)

    def give(self, vmid: int, file: str, content: bytes) -> None:
        """Put a file for root alone into a stopped container."""
        root = f"/var/lib/lxc/{vmid}/rootfs"
        folder = shlex.quote(file.rpartition("/")[0])
        script = GIVE.format(vmid=vmid, root=root, folder=folder, file=shlex.quote(file))
        self._feed(script, content)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        """Run a program on a node; no secret may be in `argv`."""
        guest = self.find(name)
        if guest.kind != "lxc":
            return super().execute(name, argv, timeout=timeout)
        script = f"exec pct exec {guest.vmid} -- {shlex.join(argv)} </dev/null\n"
        done = self.login.run(script, timeout=timeout, check=False)
        return CommandResult(argv, done.code, done.stdout, done.stderr)

    def _feed(self, script: str, content: bytes) -> None:
        host = self.host
        self.login.feed(
            script,
            content,
            timeout=SETTLE,
            hint=f"does `ssh {host.ssh}` work without a password, and is that node "
            f"{self.settings.node}?",
        )
