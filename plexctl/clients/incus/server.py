"""Which server answers: only an Incus server that is in no cluster can be a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexctl.errors import UsageError

NAMES = {"incus": "Incus", "lxd": "LXD"}


def require_incus(host: str, where: str, info: Mapping[str, Any]) -> None:
    """UsageError if the server at `where` is no Incus server, or a member of a cluster.

    `info` is its answer to GET /1.0. LXD answers most calls alike, but ignores the headers of files
    (their mode, for example), and has no recorded output where Incus has it. The networks and
    volumes of a cluster need a member for each call.
    """
    environment = info.get("environment") or {}
    server = str(environment.get("server", "unknown"))
    if server != "incus":
        name = " ".join((NAMES.get(server, server), *environment.get("server_version", "").split()))
        raise UsageError(
            f"refusing to use host {host}: the server at {where} is {name}, not Incus",
            hint="install Incus on that machine (`plexctl host prepare`, or `bin/quickstart` here),"
            " or correct clusters/hosts.yaml",
        )
    if environment.get("server_clustered"):
        raise UsageError(
            f"refusing to use host {host}: the Incus server at {where} is a member of a cluster",
            hint="use servers that are in no cluster: plexctl itself connects the hosts of a plex",
        )
