"""Access to a plex: kubeconfig, SSH, programs and logs on nodes, Ansible's inventory."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plexctl.errors import PlexError, UsageError
from plexctl.model.command import CommandResult
from plexctl.model.plex import Node, Plex
from plexctl.plan.access import access_files, admin_kubeconfig, inventory
from plexctl.plan.documents import Document
from plexctl.results.plex import LogResult
from plexctl.workflow.core.context import Context

if TYPE_CHECKING:
    from plexctl.model.streams import Streams

CONNECT = 10
"""Seconds that `ssh` waits for a node to answer."""


def write_access_files(ctx: Context, plex: Plex) -> None:
    """Write kubeconfig and SSH files to the lab's state folder. They only change with the epoch."""
    folder = ctx.plex_folder(plex.name)
    for file in access_files(plex, ctx.seed, folder.path):
        folder.write_changed(file.path.rsplit("/", 1)[1], file.content, file.mode)


def kubeconfig(ctx: Context, plex: Plex) -> str:
    return admin_kubeconfig(plex, ctx.seed)


def follow_logs(
    ctx: Context, plex: Plex, node: Node, unit: str | None, lines: int
) -> tuple[str, ...]:
    """The `ssh` command that shows the log of a node, and new lines as they come."""
    command = journalctl(unit, lines, follow=True)
    # The shell of the node reads the words again.
    return ssh(ctx, plex, node, [shlex.quote(word) for word in command])


def ssh(ctx: Context, plex: Plex, node: Node, command: Sequence[str] = ()) -> tuple[str, ...]:
    """The `ssh` command that reaches a node. The files that it reads are written if needed."""
    if plex.api_forward and not plex.api_forward.ssh:
        raise PlexError(
            f"this machine has no route to the nodes of {plex.name}: they are on another machine",
            hint=f"set `ssh` of host {plex.hosts[0]} in clusters/hosts.yaml, for example "
            f"`root@{plex.api_forward.address}`; `plexctl exec` works without it",
        )
    write_access_files(ctx, plex)
    config = str(ctx.access(plex.name) / "ssh_config")
    # Without a time-out, ssh tries an unused address for minutes.
    options = ("-F", config, "-o", f"ConnectTimeout={CONNECT}")
    return ("ssh", *options, node.name, *(("--", *command) if command else ()))


def execute(ctx: Context, node: Node, argv: Sequence[str], *, timeout: float) -> CommandResult:
    """Run a program on a node through its host, to its end; `timeout` in seconds."""
    return ctx.hosts[node.host].execute(node.name, tuple(argv), timeout=timeout)


def run(
    ctx: Context, node: Node, argv: Sequence[str], streams: Streams, *, timeout: float | None
) -> int:
    """Run a program on a node through its host, with streams; returns its exit code."""
    return ctx.hosts[node.host].run(node.name, tuple(argv), streams, timeout=timeout)


def has_terminals(ctx: Context, node: Node) -> bool:
    """Whether a program on a node can have a terminal."""
    return ctx.hosts[node.host].terminals


def journalctl(unit: str | None, lines: int, *, follow: bool = False) -> tuple[str, ...]:
    """The command that shows a node's log."""
    return (
        "journalctl",
        "--no-pager",
        f"--lines={lines}",
        *((f"--unit={unit}",) if unit else ()),
        *(("--follow",) if follow else ()),
    )


def logs(ctx: Context, node: Node, unit: str | None, lines: int) -> LogResult:
    """The last `lines` of a node's log, of one systemd unit or of all."""
    done = execute(ctx, node, journalctl(unit, lines), timeout=60)
    if done.code:
        raise PlexError(f"cannot read the log of {node.name}", details=done.stderr.splitlines())
    return LogResult(node.name, unit, tuple(done.stdout.splitlines()))


def ansible_inventory(ctx: Context) -> Document:
    """Ansible's dynamic inventory of the whole lab. The files that it names are written."""
    plexes = tuple(ctx.lab.plexes.values())
    for plex in plexes:
        write_access_files(ctx, plex)
    return inventory(ctx.lab.root, tuple((plex, ctx.access(plex.name)) for plex in plexes))


def ansible_host(ctx: Context, name: str) -> Document:
    """Ansible's variables of one node. UsageError if the lab has no such node."""
    variables: dict[str, Document] = ansible_inventory(ctx)["_meta"]["hostvars"]
    if name not in variables:
        raise UsageError(f"the lab has no node {name}", hint="`plexctl inventory` lists all nodes")
    return variables[name]
