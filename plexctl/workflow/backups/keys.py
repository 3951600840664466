"""The keys of a bucket, which a user stores once, encrypted for the lab."""

from __future__ import annotations

from plexctl.errors import PlexError, UsageError
from plexctl.keys.age import opened, sealed
from plexctl.keys.backups import backup_recipient, signing_key
from plexctl.model.folder import lab_file
from plexctl.model.plex import Plex
from plexctl.model.schedule import S3Place
from plexctl.model.secret import Secret
from plexctl.plan.scheduled import BackupKeys, S3Access, configuration
from plexctl.results.backups import BackupKeyResult
from plexctl.workflow.core.context import Context

FILE = "backup-key.age"
"""Beside plex.yaml."""

MOST = 4096


def store_key(ctx: Context, plex: Plex, given: Secret) -> BackupKeyResult:
    """Store the keys of the bucket of `plex`: the access key and the secret key, a line each."""
    if plex.backup is None or not isinstance(plex.backup.to, S3Place):
        raise UsageError(
            f"the backups of {plex.name} need no keys", hint="only `backup.to: s3://…` takes keys"
        )
    lines = given.reveal_text().split()
    if len(lines) != 2 or len(given.reveal()) > MOST:
        raise UsageError(
            "standard input must have two lines: the access key and the secret key",
            hint="`pass s3/lab | plexctl backups key`",
        )
    folder, name = lab_file(ctx.lab.root, plex.file.parent / FILE)
    secret = Secret("\n".join(lines).encode())
    stored, epoch = folder.read(name), ctx.lab.secrets_epoch
    changed = stored is None or opened(ctx.seed, epoch, stored) != secret
    if changed:
        folder.write(name, sealed(ctx.seed, epoch, secret), 0o600)
    return BackupKeyResult(plex.name, folder.path / name, changed)


def program_configuration(ctx: Context, plex: Plex) -> Secret:
    """The configuration of the program `backup`, on a master and here.

    UsageError if the keys of the bucket are missing.
    """
    assert plex.backup is not None, plex.name
    keys = BackupKeys(ctx.seed.lab_id, backup_recipient(ctx.seed), signing_key(ctx.seed, plex.name))
    to = plex.backup.to
    access = _access(ctx, plex, to) if isinstance(to, S3Place) else None
    return configuration(plex, plex.backup, keys, access)


def _access(ctx: Context, plex: Plex, to: S3Place) -> S3Access:
    again = f"store them: `pass s3/lab | plexctl backups key {plex.name}`"
    folder, name = lab_file(ctx.lab.root, plex.file.parent / FILE)
    stored = folder.read(name)
    if stored is None:
        raise UsageError(f"the keys of the bucket {to.bucket} are not stored", hint=again)
    found = opened(ctx.seed, ctx.lab.secrets_epoch, stored)
    if found is None or len(lines := found.reveal_text().split()) != 2:
        raise PlexError(f"{folder.path / name} cannot be decrypted", hint=again)
    ca = ""
    if to.ca:
        folder, name = lab_file(ctx.lab.root, ctx.lab.root / to.ca)
        ca = (folder.read(name, 1 << 20) or b"").decode(errors="replace")
    return S3Access(lines[0], Secret(lines[1].encode()), ca)
