"""A plex goes from one engine to another without a change of its objects."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.errors import PlexError
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.plan.plan import plan_plex
from plexctl.provision.engine import ApplyJob
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recipes import names_of_images
from plexctl.workflow.plex.engines import engine_of
from plexctl.workflow.plex.plan import difference, inputs


def take_over(ctx: Context, plex: Plex, run: Run, states: Mapping[str, HostState]) -> None:
    """Let the engine of `plex` import the objects of the plex on the hosts. No object is changed.

    PlexError if the hosts do not have what the files of the plex say.
    """
    plan = plan_plex(plex, inputs(ctx, plex, names_of_images(ctx, plex)))
    changes = difference(ctx, plan, states)
    if changes:
        raise PlexError(
            f"{plex.name} differs from its files, so {plex.engine} cannot take it over yet",
            details=tuple(f"{c.action} {c.kind} {c.name}: {c.reason}" for c in changes),
            hint=f"run `plexctl up {plex.name}`: {plex.file.name} has the new engine already",
        )
    with run.step(f"take over {plex.name}") as step:
        step.progress(f"{len(plan.resources)} objects")
        engine_of(ctx, plex.name, run).apply(ApplyJob(plan.resources, (), states, run.id, run))
