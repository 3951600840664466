"""Recordings of this machine's user: of versions of Kubernetes whose recording plexctl lacks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plexctl.bake.place import container_host
from plexctl.bake.roles import role_digests
from plexctl.depot.users import DAY, GRACE
from plexctl.errors import PlexError
from plexctl.model.files import write_atomic
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import node
from plexctl.model.plex import Node, Plex
from plexctl.model.types import Form, NodeType
from plexctl.plan.genesis.recording import Recording, committed
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import components, find_role, stored_components

FOLDER = "recordings"
"""In the user's cache."""

PROGRAM = "genesis"
"""The component of the depot without which no cluster is born with its contents."""

Committed = Callable[[str], Recording | None]
"""The recordings that are part of plexctl, by version of Kubernetes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reference cluster can be created: an Incus host, and the image of its node there."""

    host: str
    node_type: NodeType
    image: tuple[str, str]  # (host, type) of the bake that brings it


@dataclass(frozen=True, slots=True)
class Pruned:
    """Recordings that were deleted, by name, and their bytes."""

    names: tuple[str, ...]
    freed: int


def recording_of(ctx: Context, plex: Plex) -> Recording | None:
    """What a new cluster of `plex` is born with; None if there is no recording.

    With OpenTofu it must be part of plexctl: one that appears later would change the file of a
    master that runs, and on Proxmox hosts OpenTofu would write it there.
    """
    found = committed(plex.kubernetes)
    if found or not plex.genesis or plex.engine is ProvisionEngine.TOFU:
        return found
    return read(ctx, _name(ctx, node(plex, 1).type, plex.kubernetes))


def unrecorded(
    ctx: Context,
    wanted: Mapping[tuple[str, str], NodeType],
    kubernetes: str,
    committed: Committed = committed,
) -> dict[str, Place | None]:
    """The recordings that plexes with images of `wanted` need and that are missing, by name.

    None instead of a place where none can be made: all masters are VMs, or on hosts where the lab
    cannot create a network.
    """
    if committed(kubernetes):
        return {}
    # Keys take long to import, and most bakes have a recording.
    from plexctl.plan.genesis.compose import is_born_complete

    places: dict[str, list[Place]] = {}
    for plex in ctx.lab.plexes.values():
        master = node(plex, 1)
        if (
            plex.kubernetes == kubernetes
            and (master.host, master.type.name) in wanted
            and plex.engine is not ProvisionEngine.TOFU
            and is_born_complete(plex)
            and _has_program(ctx, master.type, kubernetes)
        ):
            name = _name(ctx, master.type, kubernetes)
            if read(ctx, name) is None:
                places.setdefault(name, []).extend(_places(ctx, master))
    # Other machines take a port for the API, and longer.
    local_first = {
        name: sorted(those, key=lambda place: not ctx.lab.hosts[place.host].local)
        for name, those in places.items()
    }
    return {name: next(iter(those), None) for name, those in local_first.items()}


def read(ctx: Context, name: str) -> Recording | None:
    """A recording; None if it is missing or damaged. Its file is as old as its last use."""
    file = _file(ctx, name)
    try:
        text = file.read_text()
        found = json.loads(text)
        whole = all(isinstance(found[part], dict) and found[part] for part in ("objects", "pods"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not whole:
        return None
    with suppress(OSError):
        if time.time() - file.stat().st_mtime > DAY:
            os.utime(file)
    return Recording(text)


def store(ctx: Context, name: str, recorded: Mapping[str, object]) -> None:
    """Keep a recording. PlexError if it cannot be written."""
    file = _file(ctx, name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlexError(f"cannot create {file.parent}: {error.strerror}") from error
    write_atomic(file, json.dumps(recorded, separators=(",", ":")).encode())


def prune(ctx: Context) -> Pruned:
    """Delete recordings that no plex of the lab needs, and no lab has used for GRACE seconds.

    If one is missed after all, the next bake makes it again.
    """
    for plex in ctx.lab.plexes.values():
        recording_of(ctx, plex)  # which counts as a use
    deleted, freed = [], 0
    for file in sorted((ctx.cache / FOLDER).glob("kubernetes-*.json")):
        with suppress(OSError):
            found = file.stat()
            if time.time() - found.st_mtime > GRACE:
                file.unlink()
                deleted.append(file.stem)
                freed += found.st_size
    return Pruned(tuple(deleted), freed)


def _file(ctx: Context, name: str) -> Path:
    return ctx.cache / FOLDER / f"{name}.json"


def _name(ctx: Context, node_type: NodeType, kubernetes: str) -> str:
    from plexctl.plan.genesis.reference import recording_name  # only for other versions

    release = ctx.pins.release(kubernetes)
    return recording_name(
        kubernetes,
        node_type,
        {name: component.key for name, component in release.components.items()},
        role_digests(partial(find_role, ctx), (node_type,)),
    )


def _has_program(ctx: Context, node_type: NodeType, kubernetes: str) -> bool:
    """Whether nodes of a type have the program that writes etcd's contents."""
    if PROGRAM not in components((node_type,)):
        return False
    stored = stored_components(ctx, ctx.pins.release(kubernetes), (PROGRAM,))
    return bool(stored and stored[PROGRAM].artifacts)


def _places(ctx: Context, master: Node) -> Iterator[Place]:
    """The places where the image of a master can run in a container of Incus."""
    hosts, image = ctx.lab.hosts, (master.host, master.type.name)
    if master.type.base.form is not Form.CONTAINER:
        return
    spec = container_host(hosts, hosts[master.host])
    if spec.name != master.host:  # the image was baked there, for the kernel of the master's host
        ours, theirs = (ctx.hosts[one].facts() for one in (spec.name, master.host))
        if (ours.cgroup, ours.sys_resource) != (theirs.cgroup, theirs.sys_resource):
            return
    if not spec.confined:
        yield Place(spec.name, master.type, image)
