"""Masters that save etcd by themselves: what `up` does for them.

The program, its configuration and a timer go to masters that run. A tag of the instance says which
ones it has: so another schedule replaces no master, and `up` has nothing to do for the same one.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from plexctl.clients.memory import memory_file
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from plexctl.model.nodes import masters
from plexctl.model.observed import HostState
from plexctl.model.plex import Node, Plex
from plexctl.model.resources import Kind
from plexctl.model.schedule import S3Place
from plexctl.model.settings import TAG, settings
from plexctl.model.streams import Streams
from plexctl.plan.boot.files import BootFile, FileKind, pack
from plexctl.plan.scheduled import CONFIG, PROGRAM, UNIT, UNITS, scheduled_files
from plexctl.workflow.backups.keys import program_configuration
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.depot import BACKUP
from plexctl.workflow.images.tools import found_tool, tool

SCHEDULED = "backup"
"""Tag of a master: a digest of what it has."""

TIMEOUT = 120

INSTALL = f"""\
tar -x -f - -C / --no-same-owner
systemctl daemon-reload
systemctl enable --quiet {UNIT}.timer
systemctl restart {UNIT}.timer
"""
REMOVE = f"""\
systemctl disable --quiet --now {UNIT}.timer
rm -f {UNITS}/{UNIT}.timer {UNITS}/{UNIT}.service {CONFIG} {PROGRAM}
systemctl daemon-reload
"""


def is_scheduled(plex: Plex, states: Mapping[str, HostState]) -> bool:
    """Whether a master saves, or has to, by itself. Quick: most plexes have no such master."""
    return plex.backup is not None or any(_tag(one, states) for one in masters(plex))


def volume(ctx: Context, plex: Plex) -> str:
    """The volume of a host with the backups of `plex`."""
    return f"plex-{plex.name}-backups-{ctx.seed.short_id}"


def unset(ctx: Context, plex: Plex, states: Mapping[str, HostState]) -> tuple[str, ...]:
    """Masters that `up` would set up, or let end their backups. Quick, and calls no host."""
    found = {one.name: _tag(one, states) for one in masters(plex)}
    if plex.backup is None:
        return tuple(name for name, tag in found.items() if tag)
    program = found_tool(ctx, BACKUP, BACKUP)
    files = scheduled_files(plex.backup, program_configuration(ctx, plex))
    wanted = _digest(files, program, str(plex.backup.to)) if program else None
    return tuple(name for name, tag in found.items() if tag != wanted)


def schedule(
    ctx: Context, plex: Plex, states: Mapping[str, HostState], new: Collection[str], run: Run
) -> None:
    """Let the masters of `plex` save by themselves as its file says. `new` are created nodes."""
    found = {one: "" if one.name in new else _tag(one, states) for one in masters(plex)}
    if plex.backup is None:
        for one in (one for one, tag in found.items() if tag):
            with run.step(f"end the backups of {one.name}"):
                _script(ctx, one, REMOVE, b"")
                ctx.hosts[one.host].set_tags(Kind.INSTANCE, one.name, {SCHEDULED: ""})
        return
    program = tool(ctx, run, BACKUP, BACKUP)
    files = scheduled_files(plex.backup, program_configuration(ctx, plex))
    wanted = _digest(files, program, str(plex.backup.to))
    late = [one for one, tag in found.items() if tag != wanted]
    if not late:
        return
    with run.step(f"let {', '.join(one.name for one in late)} save etcd") as step:
        content = pack((*files, BootFile(PROGRAM, FileKind.FILE, 0o755, program.read_bytes())))
        for one in late:
            host = ctx.hosts[one.host]
            if not isinstance(plex.backup.to, S3Place):
                tags = settings({f"{TAG}lab": ctx.seed.lab_id, f"{TAG}backups": plex.name})
                host.folders.attach(one.name, volume(ctx, plex), plex.backup.to, tags)
            _script(ctx, one, INSTALL, content)
            host.set_tags(Kind.INSTANCE, one.name, {SCHEDULED: wanted})
        step.end(Outcome.CHANGED, f"every {plex.backup.every // 60} min")


def _tag(node: Node, states: Mapping[str, HostState]) -> str:
    state = states.get(node.host)
    found = state.instances.get(node.name) if state else None
    return found.tags.get(SCHEDULED, "") if found else ""


def _digest(files: tuple[BootFile, ...], program: Path, to: str) -> str:
    """The copy of the program is in a folder that has the name of its own digest."""
    content = hashlib.sha256(pack(files))
    content.update(f"{program.parent.name} {to}".encode())
    return content.hexdigest()[:16]


def _script(ctx: Context, node: Node, script: str, stdin: bytes) -> None:
    """Run a script on a node. What it reads may have secrets."""
    out, err = io.BytesIO(), io.BytesIO()
    with memory_file(stdin) as file:
        os.lseek(file, 0, os.SEEK_SET)
        streams = Streams(file, out, err)
        code = ctx.hosts[node.host].run(node.name, ("sh", "-ec", script), streams, timeout=TIMEOUT)
    if code:
        last = err.getvalue().decode(errors="replace").strip().rpartition("\n")[2]
        raise PlexError(f"backups of {node.name} cannot be set up", details=(last,))
