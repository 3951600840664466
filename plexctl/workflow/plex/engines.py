"""Which engine makes the objects of a plex."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path

from plexctl.config.builtin import builtin
from plexctl.errors import UnreachableHostError
from plexctl.model.kinds import HostKind, ProvisionEngine
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import Engine
from plexctl.provision.tofu.encryption import answer
from plexctl.provision.tofu.engine import TofuEngine
from plexctl.provision.tofu.folder import INCUS_ROOT, PROXMOX_ROOT, TofuFolder
from plexctl.provision.tofu.incus.provider import IncusProvider
from plexctl.provision.tofu.provider import Provider
from plexctl.workflow.core.clients import servers_folder
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.tools import tool
from plexctl.workflow.plex.tofu_proxmox import on_proxmox, proxmox_provider

PROGRAMS = ("tofu", "terraform")


def engine_of(ctx: Context, plex: str, run: Run) -> Engine:
    """The one that the plex's file names.

    What OpenTofu knows of a plex that is `direct` now is forgotten: the objects have all that is
    needed on themselves.
    """
    if ctx.lab.plexes[plex].engine is ProvisionEngine.TOFU:
        return tofu_engine(ctx, plex, run)
    folder = tofu_folder(ctx, plex)
    if folder.exists():
        shutil.rmtree(folder)
        run.note("what OpenTofu knew of it is forgotten")
    return ctx.engine


def let_end(ctx: Context, plex: str, run: Run) -> bool:
    """Wait until everything that an interrupted run started has finished.

    That is OpenTofu itself, and what hosts do after the program that asked for it is gone. Returns
    whether hosts must be read (again) after it.
    """
    folder, roots = tofu_folder(ctx, plex), (INCUS_ROOT, PROXMOX_ROOT)
    waited = any(TofuFolder(folder, root).wait_until_free(run) for root in roots)
    if run.resumes or (folder / PROXMOX_ROOT).exists():
        for host in ctx.hosts.values():
            with suppress(UnreachableHostError):
                waited |= host.settle(plex)
    return waited or run.resumes


def state_key(ctx: Context, plex: str) -> str:
    """What opens the state of a plex, for OpenTofu that is called by hand. It is a secret."""
    return answer(_key(ctx, plex)).decode()


def tofu_engine(ctx: Context, plex: str, run: Run) -> TofuEngine:
    """Of one plex. OpenTofu or Terraform as this machine has it, else the depot's.

    PlexError if the plex is on hosts of two kinds, or of two Proxmox clusters.
    """
    plexctl = str(Path(sys.argv[0]).absolute())
    key_command = (plexctl, "-C", str(ctx.lab.root.absolute()), "engine", "tofu", plex, "--key")
    assert isinstance(ctx.engine, DirectEngine)
    proxmox = on_proxmox(ctx, plex)
    root = PROXMOX_ROOT if proxmox else INCUS_ROOT
    folder = TofuFolder(tofu_folder(ctx, plex), root, locks=ctx.lab.root)
    provider: Provider = (
        proxmox_provider(ctx, plex, folder) if proxmox else _incus_provider(ctx, plex)
    )
    return TofuEngine(
        program=_program(ctx, run),
        modules=builtin("terraform"),
        folder=folder,
        key=_key(ctx, plex),
        key_command=key_command,
        provider=provider,
        direct=ctx.engine,
    )


def _incus_provider(ctx: Context, plex: str) -> IncusProvider:
    hosts = {name: host for name, host in ctx.lab.hosts.items() if host.kind is HostKind.INCUS}
    remote = any(not host.local for host in hosts.values())
    assert isinstance(ctx.engine, DirectEngine)
    folder = servers_folder(ctx.lab, ctx.seed, hosts.values()) if remote else None
    return IncusProvider(plex, hosts, folder, ctx.engine)


def tofu_folder(ctx: Context, plex: str) -> Path:
    """Modules, variables, boot files and state of a plex: for nobody else to read."""
    return ctx.access(plex) / "tofu"


def _key(ctx: Context, plex: str) -> Secret:
    return Secret(ctx.seed.derive("tofu", "state", plex))


def _program(ctx: Context, run: Run) -> Path:
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return Path(found) if found else tool(ctx, run, "tofu", "tofu")
