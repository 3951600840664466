"""Checks of the backups that masters write by themselves."""

from __future__ import annotations

from plexctl.config.check_hosts import bases_of, hosts_of
from plexctl.config.draft import Draft, Drafts
from plexctl.config.fields import BackupFields, PlexFields
from plexctl.model.kinds import HostKind, ProvisionEngine
from plexctl.model.types import Form

S3_ONLY = ("endpoint", "region", "ca")


def check_backup(drafts: Drafts, draft: Draft[PlexFields]) -> None:
    """Report masters that cannot save themselves, and fields that do not belong to the place."""
    fields = draft.fields
    if fields is None or fields.backup is None or not draft.source.sound("backup"):
        return
    instead = "remove it: `plexctl backup FILE` works everywhere"
    if fields.engine is ProvisionEngine.TOFU:
        draft.source.report(
            ("backup",),
            "needs `engine: direct`: OpenTofu would undo what plexctl sets up on running masters",
            instead,
        )
    hosts = drafts.hosts.fields.hosts if drafts.hosts.fields else {}
    kinds = {hosts[name].kind for name in hosts_of(fields, hosts) if name in hosts}
    if HostKind.PROXMOX in kinds:
        draft.source.report(
            ("backup",), "needs Incus hosts: Proxmox VE passes no files to running nodes", instead
        )
    if fields.backup.to.startswith("s3://"):
        _check_s3(drafts, draft, fields.backup)
        return
    for name in S3_ONLY:
        if getattr(fields.backup, name) is not None:
            draft.source.report(
                ("backup", name), "applies to s3:// only", "remove it, or write to a bucket"
            )
    if _are_vms(drafts, fields):
        draft.source.report(
            ("backup", "to"),
            "must be a bucket: a running VM gets no volume",
            "use s3://bucket/prefix",
        )


def _check_s3(drafts: Drafts, draft: Draft[PlexFields], fields: BackupFields) -> None:
    if fields.ca and not (drafts.root / fields.ca).is_file():
        draft.source.report(
            ("backup", "ca"),
            f"there is no file {drafts.root / fields.ca}",
            "write a path from the folder of the lab",
        )


def _are_vms(drafts: Drafts, fields: PlexFields) -> bool:
    """Whether a master is a VM."""
    names = [fields.type]
    for number in range(1, fields.masters + 1):
        names += [g.type for g in fields.groups if g.type and number in g.nodes]
    types = [drafts.types[name].fields for name in names if name in drafts.types]
    vms = bases_of(drafts, Form.VM)
    return any(one.base in vms for one in types if one)
