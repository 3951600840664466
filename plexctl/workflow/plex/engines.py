"""The engine of a plex: `direct`, or `tofu` with OpenTofu or Terraform."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from plexctl.config.builtin import builtin
from plexctl.errors import UnreachableHostError, UsageError
from plexctl.model.folder import Folder
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import Engine
from plexctl.provision.tofu.encryption import answer
from plexctl.provision.tofu.engine import TofuEngine
from plexctl.provision.tofu.folder import TofuFolder
from plexctl.provision.tofu.providers import (
    CLONING_ROOTS,
    ROOTS,
    TofuCredentials,
    provider_of,
    root_of,
)
from plexctl.workflow.core.clients import pinned_certificate, servers_folder
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import unfinished_work
from plexctl.workflow.core.run import Run
from plexctl.workflow.host.tokens import read_host_token
from plexctl.workflow.images.tools import tool

PROGRAMS = ("tofu", "terraform")
TOFU = "tofu"
"""In the folder of a plex: that of OpenTofu."""


def engine_of(ctx: Context, plex: str, run: Run) -> Engine:
    """The engine that the plex file names.

    The folder of OpenTofu is deleted when a plex is `direct` again: the objects on the hosts have
    everything that is needed.
    """
    if ctx.lab.plexes[plex].engine is ProvisionEngine.TOFU:
        return tofu_engine(ctx, plex, run)
    folder = tofu_folder(ctx, plex)
    if folder.exists():
        ctx.plex_folder(plex).delete(TOFU)
        run.note(f"the state of OpenTofu is deleted: {plex} has the engine direct")
    return ctx.engine


def settle_plex(ctx: Context, plex: str, run: Run, *, ends: bool = False) -> bool:
    """Wait until everything that an interrupted run started has finished.

    That is OpenTofu itself, and what hosts do after the program that asked for it is gone. What a
    run of phases has left is completed or undone then; with `ends`, the plex is about to be
    deleted. Returns whether hosts must be read (again) after it.
    """
    work = unfinished_work(ctx.plex_folder(plex))
    folder = tofu_folder(ctx, plex)
    waited = any(TofuFolder(folder, root).wait_until_free(run) for root in ROOTS.values())
    if run.resumes or work or any(folder.below(root).exists() for root in CLONING_ROOTS):
        for host in ctx.hosts.values():
            with suppress(UnreachableHostError):
                waited |= host.settle(plex)
    if work:
        from plexctl.workflow.snapshots.unfinished import complete  # most runs have none

        complete(ctx, ctx.plex_folder(plex), work, plex, run, ends=ends)
    return waited or run.resumes or work is not None


def settle_or_refuse(ctx: Context, plex: str, run: Run, purpose: str) -> None:
    """`settle_plex` before a run of phases of its own, which must not take the place of another's.

    UsageError if a restore from a backup was interrupted: only `up` completes it. `purpose` is what
    the run is for, as in "refusing to PURPOSE".
    """
    settle_plex(ctx, plex, run)
    if unfinished_work(ctx.plex_folder(plex)):
        raise UsageError(
            f"refusing to {purpose}: a restore of the cluster of {plex} was interrupted",
            hint=f"complete it first: `plexctl up {plex}`",
        )


def state_key(ctx: Context, plex: str) -> str:
    """The key of a plex's state, for a user who runs OpenTofu directly. The key is a secret."""
    return answer(_key(ctx, plex)).decode()


def tofu_engine(ctx: Context, plex: str, run: Run) -> TofuEngine:
    """The engine `tofu` of one plex: OpenTofu or Terraform of this machine, else of the depot.

    PlexError if the plex is on hosts of two kinds, or of two Proxmox clusters.
    """
    assert isinstance(ctx.engine, DirectEngine)
    wanted, hosts = ctx.lab.plexes[plex], ctx.lab.hosts
    plexctl = str(Path(sys.argv[0]).absolute())
    folder = TofuFolder(tofu_folder(ctx, plex), root_of(wanted, hosts), locks=ctx.lab.root)
    return TofuEngine(
        provider=provider_of(wanted, hosts, folder, _credentials(ctx), ctx.engine),
        program=_program(ctx, run),
        modules=builtin("terraform"),
        folder=folder,
        key=_key(ctx, plex),
        key_command=(plexctl, "-C", str(ctx.lab.root.absolute()), "engine", "tofu", plex, "--key"),
        direct=ctx.engine,
    )


def tofu_folder(ctx: Context, plex: str) -> Folder:
    """The folder with modules, variables, boot files and state of a plex."""
    return ctx.plex_folder(plex).below(TOFU)


def _credentials(ctx: Context) -> TofuCredentials:
    return TofuCredentials(
        partial(servers_folder, ctx.lab, ctx.seed),
        pinned_certificate,
        partial(read_host_token, ctx.lab, ctx.seed),
    )


def _key(ctx: Context, plex: str) -> Secret:
    return Secret(ctx.seed.derive("tofu", "state", plex))


def _program(ctx: Context, run: Run) -> Path:
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return Path(found) if found else tool(ctx, run, "tofu", "tofu")
