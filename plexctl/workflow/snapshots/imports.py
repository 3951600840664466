"""Create a plex from a file of `snapshot export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plexctl.errors import UsageError
from plexctl.model.disks import NewInstance
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.observed import HostState
from plexctl.model.plex import Plex
from plexctl.model.snapshots import SnapshotName
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import Instance, Owner, boot_digest
from plexctl.provision.change import DiffOptions
from plexctl.provision.engine import ApplyJob, require_image
from plexctl.provision.tags import tagged, tags
from plexctl.results.snapshots import SnapshotImportResult
from plexctl.workflow.core.clock import require_clock
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.phases import Phases, Work
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.images.recipes import UNBAKED
from plexctl.workflow.plex.converge import plan_on_ready_hosts
from plexctl.workflow.plex.engines import settle_or_refuse
from plexctl.workflow.plex.plan import difference
from plexctl.workflow.plex.status import node_rows
from plexctl.workflow.snapshots.archive import Archive, opened, refusing
from plexctl.workflow.snapshots.copies import delete_temporary, marks
from plexctl.workflow.snapshots.export import BytesProgress, files_of, require_containers
from plexctl.workflow.snapshots.manifest import Manifest
from plexctl.workflow.snapshots.members import find_members, on_all
from plexctl.workflow.snapshots.names import store_names
from plexctl.workflow.snapshots.restore import bring_back
from plexctl.workflow.snapshots.save import require_name


def import_(ctx: Context, file: Path, name: str | None = None) -> SnapshotImportResult:
    """Create the plex of `file` with its disks and one snapshot, then start it as `restore` does.

    UsageError, and nothing is changed, unless this lab has written the file and it is whole, its
    disks are harmless for hosts, the lab's files define the same nodes, and none of them exists.
    """
    with opened(file, ctx.seed) as archive:
        manifest = archive.manifest
        plex = _plex_of(ctx, file, manifest)
        snapshot = SnapshotName(require_name(name or manifest.snapshot), len(manifest.nodes))
        with start(ctx.lab.state, "import", plex.name, ctx.listener) as run:
            require_clock(plex.name)
            _require_same_nodes(file, manifest, files_of(ctx, plex))
            _verify(ctx, plex, archive, run)
            settle_or_refuse(ctx, plex.name, run, "import a snapshot")
            _require_absent(ctx, plex)
            plan, states = plan_on_ready_hosts(ctx, plex, run)
            _require_same_nodes(file, manifest, plan)
            _require_architecture(ctx, plex, file, manifest)
            changes = [c for c in difference(ctx, plan, states) if not c.is_instance]
            phases = Phases(run, ctx.plex_folder(plex.name))
            work = Work("import", run.id, snapshot.on_host, tuple(one.name for one in plan.nodes))
            phases.begin(work)
            try:
                with phases.phase("networks", "create networks and profiles"):
                    job = ApplyJob(plan.resources, tuple(changes), states, run.id, run)
                    ctx.engine.apply(job)
                _create_nodes(ctx, plan, states, archive, phases)
                members = find_members(ctx, plex)
                with phases.phase("snapshot", f"take snapshot {snapshot.name}"):
                    on_all(
                        members.all, lambda one: one.snapshots.create(one.name, snapshot.on_host)
                    )
            except Exception:
                undo(ctx, plex, work, run)
                phases.end()
                raise
            store_names(ctx, plex.name, (snapshot.name,))
            seconds = bring_back(ctx, members, snapshot.on_host, run)
            return SnapshotImportResult(
                plex.name,
                snapshot.name,
                node_rows(ctx, plex),
                {**seconds, "all": run.seconds()},
                run.id,
            )


def undo(ctx: Context, plex: Plex, work: Work, run: Run) -> None:
    """Delete what an import has created. Nodes of another run stay, and what they use."""
    delete_temporary(ctx, plex.hosts, work.run)
    states = ctx.engine.read(plex.hosts)
    changes = ctx.engine.diff((), states, DiffOptions(Owner(ctx.seed.lab_id, plex.name)))
    found = {c.key: states[c.host].instances[c.name] for c in changes if c.is_instance}
    own = {key for key, one in found.items() if one.tags.get("run") == work.run}
    if own != found.keys():
        changes = tuple(c for c in changes if c.key in own)
    ctx.engine.apply(ApplyJob((), changes, states, run.id, run))


def _plex_of(ctx: Context, file: Path, manifest: Manifest) -> Plex:
    plex = ctx.lab.plexes.get(manifest.plex)
    if plex is None:
        known = ", ".join(ctx.lab.plexes) or "none"
        raise UsageError(
            f"{file}: manifest.json: plex: the lab has no plex {manifest.plex}",
            hint=f"take its folder below clusters/ from where the file comes; there are: {known}",
        )
    if plex.engine is ProvisionEngine.TOFU:
        raise UsageError(
            f"{plex.name} has the engine tofu, which cannot import disks",
            hint=f"`plexctl engine direct {plex.name}`, import, then `plexctl engine tofu"
            f" {plex.name}`",
        )
    require_containers(plex)
    return plex


def _require_same_nodes(file: Path, manifest: Manifest, plan: Plan) -> None:
    """UsageError unless the lab's files define the nodes in the file.

    The disks have the files of their time: with other ones the plex would not be what `up` creates.
    """
    saved = {one.name: one for one in manifest.nodes}
    planned = {one.name: one for one in plan.instances}
    found = [f"{name} is only in the file" for name in saved if name not in planned]
    found += [f"{name} is only in the lab" for name in planned if name not in saved]
    for name in saved.keys() & planned.keys():
        if saved[name].boot != boot_digest(planned[name]):
            found.append(f"{name} would boot with other files")
        elif planned[name].image not in (UNBAKED, saved[name].image):
            found.append(f"{name} would have the image {planned[name].image}")
    if found:
        raise UsageError(
            f"{file}: the lab's files define other nodes of {manifest.plex} than the file has",
            details=sorted(found),
            hint=f"take the lab's files and the plexctl of {manifest.created}",
        )


def _verify(ctx: Context, plex: Plex, archive: Archive, run: Run) -> None:
    disks = [ctx.hosts[name].disk_copies for name in plex.hosts]
    with run.step(f"verify {archive.path.name}") as step:
        total = sum(one.node.size for one in archive.disks)
        archive.verify(disks[0].check, BytesProgress(step, total))


def _require_absent(ctx: Context, plex: Plex) -> None:
    if names := find_members(ctx, plex).names:
        raise UsageError(
            f"{plex.name} exists already: {', '.join(names)}",
            hint=f"an import creates its nodes; delete them first: `plexctl destroy {plex.name}`",
        )


def _require_architecture(ctx: Context, plex: Plex, file: Path, manifest: Manifest) -> None:
    for name in plex.hosts:
        found = ctx.hosts[name].disk_copies.architecture()
        if found != manifest.architecture:
            raise UsageError(
                f"{file}: manifest.json: architecture: its nodes are {manifest.architecture}, and"
                f" host {name} is {found}"
            )


def _create_nodes(
    ctx: Context,
    plan: Plan,
    states: Mapping[str, HostState],
    archive: Archive,
    phases: Phases,
) -> None:
    instances: Mapping[str, Instance] = {one.name: one for one in plan.instances}
    run, own = phases.run, marks(ctx, phases.run.id)
    for disk in archive.disks:
        instance = instances[disk.node.name]
        disks = ctx.hosts[instance.host].disk_copies
        new = NewInstance(
            instance.name,
            require_image(states[instance.host], instance.image).fingerprint,
            instance.incus.profile,
            tagged(instance.incus.config, tags(instance, run.id)),
            instance.incus.devices,
        )
        with (
            phases.phase(f"create {new.name}", f"create {new.name} with its disk"),
            refusing(archive.path, disk.node.member),
        ):
            run.mark(new.name, "creating")
            disks.create(new, archive.disk(disk), archive.manifest.architecture, own)
            run.mark(new.name, "created")
