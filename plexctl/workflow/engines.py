"""Which engine makes the objects of a plex."""

from __future__ import annotations

import shutil
from pathlib import Path

from plexctl.config.builtin import builtin
from plexctl.model.hosts import HostKind
from plexctl.model.plex import ProvisionEngine
from plexctl.model.secret import Secret
from plexctl.provision.direct import DirectEngine
from plexctl.provision.engine import Engine
from plexctl.provision.tofu import TofuEngine
from plexctl.workflow.clients import servers_folder
from plexctl.workflow.context import Context
from plexctl.workflow.run import Run
from plexctl.workflow.tools import tool

PROGRAMS = ("tofu", "terraform")


def engine_of(ctx: Context, plex: str, run: Run) -> Engine:
    """The one that the plex's file names; where there is no file, the one that was used last.

    What OpenTofu knows of a plex that is `direct` now is forgotten: the objects have all that is
    needed on themselves.
    """
    folder = tofu_folder(ctx, plex)
    if plex in ctx.lab.plexes:
        chosen = ctx.lab.plexes[plex].engine
    else:
        chosen = ProvisionEngine.TOFU if folder.exists() else ProvisionEngine.DIRECT
    if chosen is ProvisionEngine.TOFU:
        return tofu_engine(ctx, plex, run)
    if folder.exists():
        shutil.rmtree(folder)
        run.note("what OpenTofu knew of it is forgotten")
    return ctx.engine


def tofu_engine(ctx: Context, plex: str, run: Run) -> TofuEngine:
    """Of one plex. OpenTofu or Terraform as this machine has it, else the depot's."""
    incus = {n: h for n, h in ctx.lab.hosts.items() if h.kind is HostKind.INCUS}
    remote = any(not host.local for host in incus.values())
    assert isinstance(ctx.engine, DirectEngine)
    return TofuEngine(
        plex=plex,
        program=_program(ctx, run),
        modules=builtin("terraform"),
        folder=tofu_folder(ctx, plex),
        config_dir=servers_folder(ctx.lab, ctx.seed) if remote else None,
        key=Secret(ctx.seed.derive("tofu", "state", plex)),
        hosts=incus,
        direct=ctx.engine,
    )


def tofu_folder(ctx: Context, plex: str) -> Path:
    """Modules, variables, boot files and state of a plex: for nobody else to read."""
    return ctx.access(plex) / "tofu"


def _program(ctx: Context, run: Run) -> Path:
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return Path(found) if found else tool(ctx, run, "tofu", "tofu")
