"""The user's depot, with the sources of a lab."""

from __future__ import annotations

from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import depot_folder


def depot(ctx: Context) -> Depot:
    return Depot(depot_folder(ctx), Sources(lock=ctx.lab.root / "depot.lock"))
