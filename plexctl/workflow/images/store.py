"""The user's depot, with the sources of a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plexctl.depot.users import DepotUsers
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import depot_folder

if TYPE_CHECKING:
    from plexctl.depot.store import Depot


def record_use(ctx: Context) -> None:
    """Put the lab on record as one that uses the depot, so that no other lab prunes its entries."""
    users = DepotUsers.of(depot_folder(ctx))
    users.record(ctx.seed.lab_id, ctx.lab.root, ctx.pins.keys())


def depot(ctx: Context) -> Depot:
    """The depot, in which the lab is on record as one that uses it."""
    from plexctl.depot.sources import Sources  # `up` of a plex with images needs no source
    from plexctl.depot.store import Depot

    record_use(ctx)
    return Depot(depot_folder(ctx), Sources(lock=ctx.lab.root / "depot.lock"))
