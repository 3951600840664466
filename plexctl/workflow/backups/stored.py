"""The backups that masters have written by themselves."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from plexctl.clients import process
from plexctl.clients.environment import LOCALE, NETWORK, chosen
from plexctl.errors import PlexError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.backup import Backup
from plexctl.model.nodes import masters
from plexctl.model.plex import Plex
from plexctl.model.schedule import S3Place
from plexctl.results.backups import BackupRow, BackupsResult
from plexctl.workflow.backups.archive import read, unpack
from plexctl.workflow.backups.keys import program_configuration
from plexctl.workflow.backups.schedule import volume
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images.depot import BACKUP
from plexctl.workflow.images.tools import found_tool, tool

LATEST = "latest"
"""Instead of a file: the newest backup that masters have written."""

STAMP = "%Y%m%dT%H%M%SZ"
SECONDS = 900


@dataclass(frozen=True, slots=True)
class Stored:
    """A backup in the store of a plex."""

    name: str
    size: int
    created: datetime


def list_backups(ctx: Context, plex: Plex, *, now: datetime | None = None) -> BackupsResult:
    """The backups that the masters of `plex` have written, the oldest first."""
    now = now or datetime.now(UTC)
    rows = tuple(
        BackupRow(
            one.name,
            one.created.isoformat(timespec="seconds"),
            max(0, round((now - one.created).total_seconds())),
            one.size,
        )
        for one in _store(ctx, plex).list()
    )
    assert plex.backup is not None, plex.name
    to = plex.backup.to
    shown = f"s3://{to.bucket}/{to.prefix}".rstrip("/") if isinstance(to, S3Place) else to
    late = bool(rows) and rows[-1].age > 2 * plex.backup.every
    return BackupsResult(plex.name, shown, rows, late)


def find(ctx: Context, plex: Plex, chosen: str) -> Backup:
    """The backup that a user names: a file, one in the store of `plex`, or LATEST.

    UsageError if there is none, or it is none of this lab.
    """
    named = re.fullmatch(_names(plex), chosen) and not Path(chosen).exists()
    if chosen != LATEST and not named:
        return read(ctx.seed, Path(chosen))
    store = _store(ctx, plex)
    found = store.list()
    name = found[-1].name if chosen == LATEST and found else chosen
    if name not in [one.name for one in found]:
        raise UsageError(
            f"there is no backup {chosen} of {plex.name}",
            hint=f"there are: {', '.join(one.name for one in found[-4:]) or 'none'}",
        )
    return _opened(ctx.seed, name, store.get(name))


def _opened(seed: RootSeed, name: str, content: bytes) -> Backup:
    try:
        return unpack(seed, content)
    except ValueError as error:
        raise UsageError(
            f"{name} is not a backup that can be restored here: {error}",
            hint="name another one of `plexctl backups list`; nothing was changed",
        ) from error


def _names(plex: Plex) -> str:
    return rf"{re.escape(plex.name)}-(\d{{8}}T\d{{6}}Z)\.backup"


def _entries(plex: Plex, sizes: dict[str, int]) -> tuple[Stored, ...]:
    return tuple(sorted(_named(plex, sizes), key=lambda one: one.name))


def _named(plex: Plex, sizes: dict[str, int]) -> Iterator[Stored]:
    """Those that a master has written; whatever else is in the store is somebody else's."""
    for name, size in sizes.items():
        if match := re.fullmatch(_names(plex), name, re.ASCII):
            try:
                created = datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
            except ValueError:
                continue
            yield Stored(name, size, created)


def _store(ctx: Context, plex: Plex) -> _Volumes | _Bucket:
    if plex.backup is None:
        raise UsageError(
            f"the masters of {plex.name} write no backups",
            hint=f"add `backup: {{every: 6h, to: /srv/backups}}` to {plex.file}",
        )
    return _Bucket(ctx, plex) if isinstance(plex.backup.to, S3Place) else _Volumes(ctx, plex)


@dataclass(slots=True)
class _Volumes:
    """Volumes of the hosts of masters. They can be read when no node exists."""

    ctx: Context
    plex: Plex
    _files: dict[str, bytes] | None = None

    def list(self) -> tuple[Stored, ...]:
        return _entries(self.plex, {name: len(content) for name, content in self._read().items()})

    def get(self, name: str) -> bytes:
        return self._read()[name]

    def _read(self) -> dict[str, bytes]:
        if self._files is None:
            self._files = {}
            for host in dict.fromkeys(one.host for one in masters(self.plex)):
                self._files |= self.ctx.hosts[host].folders.read(volume(self.ctx, self.plex))
        return self._files


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A bucket, read by the program that masters have."""

    ctx: Context
    plex: Plex

    def list(self) -> tuple[Stored, ...]:
        found = json.loads(self._run("list"))
        return _entries(self.plex, {str(one["name"]): int(one["size"]) for one in found})

    def get(self, name: str) -> bytes:
        return base64.b64decode(self._run("get", name))

    def _run(self, verb: str, *words: str) -> str:
        program = found_tool(self.ctx, BACKUP, BACKUP)
        if program is None:
            with start(self.ctx.lab.state, "fill", WHOLE_LAB, self.ctx.listener) as run:
                program = tool(self.ctx, run, BACKUP, BACKUP)
        config = program_configuration(self.ctx, self.plex).reveal()
        env = {**chosen(NETWORK), **LOCALE}
        done = process.run(
            (program, verb, "-", *words), timeout=SECONDS, env=env, stdin=config, check=False
        )
        if done.code:
            raise PlexError(
                f"the backups of {self.plex.name} cannot be read",
                details=(done.stderr.strip().rpartition("\n")[2],),
                hint="the bucket, its keys and `backup` in plex.yaml must fit each other",
            )
        return done.stdout
