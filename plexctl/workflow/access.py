"""How a user reaches a plex: kubeconfig, SSH, programs and logs on nodes, Ansible's inventory."""

from __future__ import annotations

from plexctl.config.values import parse_plex_name
from plexctl.config.words import Fault
from plexctl.errors import UsageError
from plexctl.workflow.context import Context, find_plex


def removable_plex(ctx: Context, name: str | None) -> str:
    """The name of a plex to remove, which may have lost its file. UsageError if none can be it."""
    if name is None or name in ctx.lab.plexes:
        return find_plex(ctx, name).name
    try:
        return parse_plex_name(name)
    except Fault as fault:
        raise UsageError(str(fault), hint=fault.hint) from fault
