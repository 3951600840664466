"""Containers of a Proxmox node. The API takes no files and few settings: the rest goes over SSH."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from plexctl.clients.proxmox import observed
from plexctl.clients.proxmox.connection import ProxmoxConnection
from plexctl.clients.proxmox.guests import ProxmoxGuests
from plexctl.clients.proxmox.storage import MOVE
from plexctl.clients.ssh import SshClient
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult

LOGIN = re.compile(r"(?P<user>[^@]+)@(?P<address>[^:]+)(:(?P<port>[0-9]+))?")

SCRIPT = 60.0
"""Seconds that a script over SSH may take."""

# `pct push` takes running containers only, and a node gets its files before it starts. Root of an
# unprivileged container is another user on the host: the owner of the container's root folder.
WRITE = """\
set -eu
pct mount {vmid} >/dev/null
trap 'pct unmount {vmid} >/dev/null' EXIT
trap 'exit 1' HUP INT TERM
umask 077
mkdir -p {root}{folder}
cat >{root}{file}
chown --reference={root} {root}{folder} {root}{file}
"""

# The file of a stopped container has one section. Lines of an interrupted run are replaced.
ADD = """\
set -eu
umask 077
file=/etc/pve/lxc/{vmid}.conf
kept=$(sed '/^lxc\\./d' "$file")
added=$(cat)
printf '%s\\n%s\\n' "$kept" "$added" >"$file"
"""


class ProxmoxContainers:
    """Containers: created over the API, the rest over SSH."""

    def __init__(self, connection: ProxmoxConnection, guests: ProxmoxGuests) -> None:
        self._connection = connection
        self._guests = guests

    def create(
        self, name: str, archive: str, tags: Mapping[str, str], options: Mapping[str, object]
    ) -> int:
        """Create a stopped container of a template, by volume; returns its identifier.

        What an interrupted run has left under this name is deleted.
        """
        self._guests.delete(name)
        given = {
            **options,
            "hostname": name,
            "ostemplate": archive,
            "tags": observed.labels(tags),
            "description": observed.notes(tags),
        }
        place = (*self._connection.node, "lxc")
        return self._guests.with_new_id(
            lambda number: self._connection.task(
                f"create {name}", "post", *place, vmid=number, deadline=MOVE, **given
            )
        )

    def set_raw(self, vmid: int, lines: tuple[str, ...]) -> None:
        """Give a stopped container settings of LXC's own, as "lxc.cap.drop: …"."""
        content = "".join(f"{line}\n" for line in lines).encode()
        self._feed(ADD.format(vmid=vmid), content)

    def write_file(self, vmid: int, file: str, content: bytes) -> None:
        """Write a file into a stopped container, for its root alone."""
        root = f"/var/lib/lxc/{vmid}/rootfs"
        folder = shlex.quote(file.rpartition("/")[0])
        script = WRITE.format(vmid=vmid, root=root, folder=folder, file=shlex.quote(file))
        self._feed(script, content)

    def execute(self, vmid: int, argv: tuple[str, ...], *, timeout: float) -> CommandResult:
        """Run a program in a container. `argv` must hold no secret."""
        script = f"exec pct exec {vmid} -- {shlex.join(argv)} </dev/null\n"
        done = self._login.run(script, timeout=timeout, check=False)
        return CommandResult(argv, done.code, done.stdout, done.stderr)

    @property
    def _login(self) -> SshClient:
        """A client for the host's SSH login. PlexError if hosts.yaml has no login."""
        spec = self._connection.spec
        found = LOGIN.fullmatch(spec.ssh or "")
        if found is None:
            raise PlexError(
                f"host {spec.name} has containers, which need an SSH login",
                hint=f"give {spec.name} `ssh` in clusters/hosts.yaml, as in root@10.0.0.7",
            )
        port = int(found["port"]) if found["port"] else None
        return SshClient(found["address"], found["user"], port=port)

    def _feed(self, script: str, content: bytes) -> None:
        spec, node = self._connection.spec, self._connection.settings.node
        self._login.feed(
            script,
            content,
            timeout=SCRIPT,
            hint=f"check that `ssh {spec.ssh}` works without a password and reaches node {node}",
        )
