"""Copy a snapshot of a plex into one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from plexctl.errors import UsageError
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex
from plexctl.model.snapshots import PlexSnapshot
from plexctl.model.types import Form
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Instance, boot_digest, resource_hash
from plexctl.results.snapshots import SnapshotExportResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work
from plexctl.workflow.core.run import Run, RunStep, start
from plexctl.workflow.images.recipes import names_of_images
from plexctl.workflow.plex.engines import settle_or_refuse
from plexctl.workflow.plex.plan import inputs
from plexctl.workflow.snapshots.archive import ArchiveWriter, new_archive, require_new
from plexctl.workflow.snapshots.copies import delete_temporary, marks
from plexctl.workflow.snapshots.manifest import Manifest, SavedNode
from plexctl.workflow.snapshots.members import Member, Members, require_members, require_snapshot
from plexctl.workflow.snapshots.restore import require_complete


def export(
    ctx: Context, plex: Plex, name: str, file: Path, *, replace: bool
) -> SnapshotExportResult:
    """Copy all disks of the snapshot `name` into `file`, which only its owner may read.

    One node after another: a host needs space for one more of them. UsageError, and nothing is
    done, if there is something at `file`, unless that is to be replaced.
    """
    require_new(file, replace=replace)
    require_containers(plex)
    with start(ctx.lab.state, "export", plex.name, ctx.listener) as run:
        settle_or_refuse(ctx, plex.name, run, "export a snapshot")
        members = require_members(ctx, plex)
        snapshot = require_snapshot(members, name)
        require_complete(members, snapshot)
        planned = _as_planned(ctx, plex, snapshot)
        with (
            _unfinished(ctx, plex, snapshot, run) as phases,
            new_archive(file, replace=replace) as archive,
        ):
            copy = _Copy(ctx, snapshot, archive, phases)
            saved = tuple(copy.node(one, planned[one.name]) for one in members.all)
            archive.end(_manifest(ctx, members, snapshot, saved), ctx.seed)
        size = sum(one.size for one in saved)
        return SnapshotExportResult(
            plex.name, name, file, members.names, size, {"all": run.seconds()}, run.id
        )


def require_containers(plex: Plex) -> None:
    """UsageError if nodes of `plex` are VMs."""
    vms = [node.name for node in nodes(plex) if node.type.base.form is Form.VM]
    if vms:
        raise UsageError(
            f"{plex.name} cannot be exported or imported: {', '.join(vms)} are VMs",
            hint="only containers can; `plexctl snapshot save` and `restore` work with VMs too",
        )


def files_of(ctx: Context, plex: Plex) -> Plan:
    """The plan, whose instances have the digests of their files. Nothing is baked."""
    return plan_plex(plex, inputs(ctx, plex, names_of_images(ctx, plex)))


def _as_planned(ctx: Context, plex: Plex, snapshot: PlexSnapshot) -> Mapping[str, Instance]:
    """The plan's instances by name. UsageError unless the snapshot's are the same.

    Whoever imports the file creates the plan's: what a snapshot was created from otherwise is known
    nowhere.
    """
    planned = {one.name: one for one in files_of(ctx, plex).instances}
    others = [
        name
        for name, part in snapshot.parts.items()
        if name not in planned or part.tags.get("hash") != resource_hash(planned[name])
    ]
    if others:
        raise UsageError(
            f"snapshot {snapshot.id.name} of {plex.name} cannot be exported: the lab's files now"
            f" define other nodes than {', '.join(others)}",
            hint=f"`plexctl plan {plex.name}` says why; run `plexctl up {plex.name}` and save again"
            ", or go back to the files of that time",
        )
    return planned


@contextmanager
def _unfinished(ctx: Context, plex: Plex, snapshot: PlexSnapshot, run: Run) -> Iterator[Phases]:
    """A run that is killed meanwhile leaves an image on a host: the next one deletes it."""
    phases = Phases(run, ctx.plex_folder(plex.name))
    phases.begin(Work("export", run.id, snapshot.id.on_host, ()))
    try:
        yield phases
    except Exception:
        delete_temporary(ctx, plex.hosts, run.id)
        phases.end()
        raise
    phases.end()


class _Copy:
    """Copies the disks of a snapshot into a file."""

    def __init__(
        self, ctx: Context, snapshot: PlexSnapshot, archive: ArchiveWriter, phases: Phases
    ) -> None:
        self._snapshot, self._archive, self._phases = snapshot, archive, phases
        self._marks = marks(ctx, phases.run.id)

    def node(self, member: Member, planned: Instance) -> SavedNode:
        on_host = self._snapshot.id.on_host
        with self._phases.phase(f"copy {member.name}", f"copy the disk of {member.name}") as step:
            step.progress(f"{member.host.name} packs its files")
            with member.host.disk_copies.exported(member.name, on_host, self._marks) as copy:
                progress = BytesProgress(step, copy.size)
                digest = self._archive.add_disk(member.name, copy, progress)
        return SavedNode(member.name, planned.image, boot_digest(planned), copy.size, digest)


class BytesProgress:
    """Reports how many of `total` bytes a step has read or written."""

    def __init__(self, step: RunStep, total: int) -> None:
        self._step, self._total, self._done = step, max(1, total), 0

    def __call__(self, number: int) -> None:
        before, self._done = self._done, self._done + number
        if before >> 26 != self._done >> 26:  # each 64 MiB
            mib = f"{self._done >> 20} of {self._total >> 20} MiB"
            self._step.progress(mib, self._done / self._total)


def _manifest(
    ctx: Context, members: Members, snapshot: PlexSnapshot, saved: tuple[SavedNode, ...]
) -> Manifest:
    return Manifest(
        members.plex.name,
        snapshot.id.name,
        snapshot.created.isoformat(timespec="seconds"),
        ctx.seed.lab_id,
        members.plex.kubernetes,
        members.all[0].host.disk_copies.architecture(),
        saved,
    )
