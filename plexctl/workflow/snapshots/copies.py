"""Temporary objects on hosts while disks of a plex are copied: how they are marked, and deleted."""

from __future__ import annotations

from collections.abc import Iterable

from plexctl.bake.baker import BAKER, this_process
from plexctl.bake.cleanup import PROPERTY
from plexctl.model.observed import IMAGE_LAB
from plexctl.workflow.core.context import Context

COPY = f"{PROPERTY}copy"
"""The run that copies."""


def marks(ctx: Context, run: str) -> dict[str, str]:
    """Marks of a temporary object of `run`.

    With the process, a bake of any lab finds what was left where the lab's state is lost.
    """
    return {**_of_run(ctx, run), f"{PROPERTY}{BAKER}": str(this_process())}


def delete_temporary(ctx: Context, hosts: Iterable[str], run: str) -> None:
    """Delete what `run` has left on hosts, which was killed or has failed."""
    for name in hosts:
        ctx.hosts[name].disk_copies.delete_temporary(_of_run(ctx, run))


def _of_run(ctx: Context, run: str) -> dict[str, str]:
    return {IMAGE_LAB: ctx.seed.lab_id, COPY: run}
