"""Write a backup of a plex to a file."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from plexctl.bootstrap.cluster import cluster
from plexctl.bootstrap.etcd import Etcd
from plexctl.clients.kube.client import UnreachableError
from plexctl.errors import PlexError, UsageError
from plexctl.model.backup import Backup, Manifest
from plexctl.model.events import Outcome
from plexctl.model.files import write_new, write_private
from plexctl.model.nodes import masters
from plexctl.model.plex import Plex
from plexctl.results.backups import BackupResult
from plexctl.workflow.backups.archive import pack, require_size
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.plex.engines import settle_plex


def exists(file: Path) -> bool:
    """Whether `file` would be replaced. UsageError if it cannot be written, whatever the user says.

    It is never a symbolic link: a backup is written where its name says, and nowhere else.
    """
    try:
        found = os.lstat(file)
    except FileNotFoundError:
        if not file.parent.is_dir():
            raise UsageError(
                f"cannot write {file}: there is no folder {file.parent}", hint="create it first"
            ) from None
        return False
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(
            f"refusing to replace {file}: it is not a file", hint="choose another name"
        )
    return True


def backup(ctx: Context, plex: Plex, file: Path, *, replace: bool = False) -> BackupResult:
    """Write a backup of `plex` to `file`, whose mode is 0600. With `replace` it may exist."""
    if exists(file) and not replace:
        raise UsageError(f"{file} exists already", hint="`-y` replaces it")
    with start(ctx.lab.state, "backup", plex.name, ctx.listener) as run:
        settle_plex(ctx, plex.name, run)
        _require_cluster(ctx, plex)
        found = take(ctx, plex, run)
        with run.step(f"write {file.name}") as step:
            sealed = pack(ctx.seed, found)
            if replace:
                write_private(file, sealed)
            elif not write_new(file, sealed, 0o600):
                raise PlexError(f"{file} exists meanwhile; nothing was replaced")
            step.end(Outcome.CHANGED, f"{len(sealed) / 1e6:.1f} MB")
        return BackupResult(
            plex.name,
            file,
            found.manifest.created,
            found.manifest.kubernetes,
            len(sealed),
            {"all": run.seconds()},
            run.id,
        )


def take(ctx: Context, plex: Plex, run: Run) -> Backup:
    """A backup of the cluster of `plex`, from a master with a healthy member of etcd."""
    with run.step(f"save etcd of {plex.name}") as step:
        etcd = Etcd(plex.name, masters(plex), ctx.hosts)
        members = tuple(one.name for one in etcd.members() if one.name and not one.learner)
        version = _version(ctx, plex, run)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        content = etcd.save()
        require_size(content, plex.name)
        step.end(Outcome.UNCHANGED, f"{len(content) / 1e6:.1f} MB")
    manifest = Manifest(
        plex.name,
        ctx.seed.lab_id,
        created,
        version,
        members,
        plex.epoch,
        str(plex.networks.services),
        plex.domain,
    )
    return Backup(manifest, content)


def _require_cluster(ctx: Context, plex: Plex) -> None:
    """UsageError if `plex` has no master, as far as hosts answer."""
    states = ctx.engine.read(plex.hosts)
    names = {one.name for one in masters(plex)}
    found = any(names & state.instances.keys() for state in states.values())
    unknown = any(state.unreachable for state in states.values())
    if not plex.type.kubernetes or not (found or unknown):
        raise UsageError(
            f"{plex.name} has no cluster that could be saved",
            hint=f"create it: `plexctl up {plex.name}`",
        )


def _version(ctx: Context, plex: Plex, run: Run) -> str:
    """The version of the cluster that runs: the plex file may have another one by now."""
    try:
        with cluster(plex, ctx.seed) as kube:
            return str((kube.read("/version") or {})["gitVersion"]).removeprefix("v")
    except (UnreachableError, KeyError) as error:
        # etcd has everything that counts, and a broken API is a reason for a backup.
        run.note(f"the API does not say its version; the backup says {plex.kubernetes} ({error})")
        return plex.kubernetes
