"""How a user reaches a plex: kubeconfig, SSH, programs and logs on nodes, Ansible's inventory."""

from __future__ import annotations

from collections.abc import Sequence

from plexctl.clients.process import Finished
from plexctl.config.values import parse_plex_name
from plexctl.config.words import Fault
from plexctl.errors import PlexError, UsageError
from plexctl.model.nodes import nodes
from plexctl.model.plex import Node, Plex
from plexctl.plan.access import admin_kubeconfig, inventory
from plexctl.plan.documents import Document
from plexctl.workflow.context import Context, find_plex
from plexctl.workflow.converge import write_access_files
from plexctl.workflow.verbs import MASTER, node_names


def removable_plex(ctx: Context, name: str | None) -> str:
    """The name of a plex to remove, which may have lost its file. UsageError if none can be it."""
    if name is None or name in ctx.lab.plexes:
        return find_plex(ctx, name).name
    try:
        return parse_plex_name(name)
    except Fault as fault:
        raise UsageError(str(fault), hint=fault.hint) from fault


def plex_of(ctx: Context, names: Sequence[str], plex: str | None) -> Plex:
    """The plex that nodes are of: `plex`, else the one with the first name, else the default."""
    if plex is None:
        for name in names:
            for candidate in ctx.lab.plexes.values():
                if name in {node.name for node in nodes(candidate)}:
                    return candidate
    return find_plex(ctx, plex)


def find_node(ctx: Context, name: str, plex: str | None) -> tuple[Plex, Node]:
    """One node by its name, or "master". UsageError for an unknown one."""
    chosen = plex_of(ctx, (name,), plex)
    (full,) = node_names(chosen, (name,))
    return chosen, next(node for node in nodes(chosen) if node.name == full)


def has_master(plex: Plex, names: Sequence[str]) -> bool:
    """Whether the master is among `names`, so that the whole cluster is meant."""
    return set(node_names(plex, (MASTER,))) <= set(node_names(plex, names))


def kubeconfig(ctx: Context, plex: Plex) -> str:
    return admin_kubeconfig(plex, ctx.seed)


def ssh(ctx: Context, plex: Plex, node: Node, command: Sequence[str] = ()) -> tuple[str, ...]:
    """The `ssh` command that reaches a node; what it reads is written if it is missing."""
    write_access_files(ctx, plex)
    config = str(ctx.access(plex.name) / "ssh_config")
    return ("ssh", "-F", config, node.name, *(("--", *command) if command else ()))


def execute(ctx: Context, node: Node, argv: Sequence[str], *, timeout: float) -> Finished:
    """Run a program on a node through its host, to its end; `timeout` in seconds."""
    return ctx.hosts[node.host].execute(node.name, tuple(argv), timeout=timeout)


def journalctl(unit: str | None, lines: int, *, follow: bool = False) -> tuple[str, ...]:
    """The command that shows a node's log."""
    return (
        "journalctl",
        "--no-pager",
        f"--lines={lines}",
        *((f"--unit={unit}",) if unit else ()),
        *(("--follow",) if follow else ()),
    )


def logs(ctx: Context, node: Node, unit: str | None, lines: int) -> str:
    """The last `lines` of a node's log, of one systemd unit or of all."""
    done = execute(ctx, node, journalctl(unit, lines), timeout=60)
    if done.code:
        raise PlexError(f"the log of {node.name} cannot be read", details=done.stderr.splitlines())
    return done.stdout


def ansible_inventory(ctx: Context) -> Document:
    """Ansible's dynamic inventory of the whole lab; the files that it names are there."""
    plexes = tuple(ctx.lab.plexes.values())
    for plex in plexes:
        write_access_files(ctx, plex)
    return inventory(tuple((plex, ctx.access(plex.name)) for plex in plexes))


def ansible_host(ctx: Context, name: str) -> Document:
    """Ansible's variables of one node. UsageError if the lab has no such node."""
    variables: dict[str, Document] = ansible_inventory(ctx)["_meta"]["hostvars"]
    if name not in variables:
        raise UsageError(f"the lab has no node {name}", hint="`plexctl inventory` lists them all")
    return variables[name]
