"""Backups that masters write by themselves: set up on them, listed, and restored."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plexctl.clients import process
from plexctl.errors import PlexError, UsageError
from plexctl.model.backup import Backup, Manifest
from plexctl.model.command import CommandResult
from plexctl.model.plex import Plex
from plexctl.model.schedule import S3Place, Schedule
from plexctl.model.secret import Secret
from plexctl.model.settings import Settings
from plexctl.model.streams import Streams
from plexctl.provision.read import read_hosts
from plexctl.workflow.backups import schedule, stored
from plexctl.workflow.backups.archive import pack
from plexctl.workflow.backups.keys import FILE, store_key
from plexctl.workflow.backups.stored import find, list_backups
from plexctl.workflow.core.prefetch import Here
from plexctl.workflow.plex import plan as planning
from plexctl.workflow.plex.verbs import up
from tests.fake_incus import FakeIncus
from tests.unit.workflow import test_converge
from tests.unit.workflow.test_converge import Lab

lab = test_converge.lab

FOLDER = Schedule(6 * 3600, 7, "/srv/backups")
BUCKET = Schedule(1800, 3, S3Place("https://s3.lab.test:9000", "us-east-1", "backups", "a/", None))
KEYS = Secret(b"the-access-key\nthe-secret-key\n")


@dataclass
class Masters:
    """What masters were given, and the volumes of hosts."""

    scripts: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # of the last tar
    attached: list[tuple[str, str, str]] = field(default_factory=list)
    volumes: dict[str, dict[str, bytes]] = field(default_factory=dict)
    code: int = 0

    def attach(self, instance: str, volume: str, path: str, tags: Settings) -> None:
        self.attached.append((instance, volume, path))

    def read(self, volume: str) -> Mapping[str, bytes]:
        return self.volumes.get(volume, {})

    def run(self, name: str, argv: tuple[str, ...], streams: Streams) -> int:
        self.scripts.append((name, argv[2]))
        assert argv[:2] == ("sh", "-ec")
        assert streams.stdin is not None
        content = os.read(streams.stdin, 1 << 24)
        assert b"the-secret-key" not in " ".join(argv).encode()
        if content:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                read = {one.name: tar.extractfile(one) for one in tar}
                self.files = {name: file.read() for name, file in read.items() if file}
        streams.stderr.write(b"Traceback\ntar: no space left\n" if self.code else b"")
        return self.code


@pytest.fixture
def masters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Masters:
    found = Masters()
    program = tmp_path / "tools" / "digest" / "backup"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"program")

    def run(
        self: FakeIncus,
        name: str,
        argv: tuple[str, ...],
        streams: Streams,
        *,
        timeout: float | None = None,
    ) -> int:
        return found.run(name, argv, streams)

    monkeypatch.setattr(FakeIncus, "run", run)
    monkeypatch.setattr(FakeIncus, "folders", property(lambda _: found))
    monkeypatch.setattr(schedule, "tool", lambda *_: program)
    monkeypatch.setattr(stored, "found_tool", lambda *_: program)
    monkeypatch.setattr(schedule, "found_tool", lambda *_: program)
    return found


def with_schedule(lab: Lab, wanted: Schedule | None, **fields: int) -> Plex:
    return replace(lab.ctx.lab.plexes["demo"], backup=wanted, **fields)  # type: ignore[arg-type]


def run_up(lab: Lab, wanted: Schedule | None) -> None:
    lab.forget()
    up(lab.ctx, with_schedule(lab, wanted))


def test_masters_get_the_program_its_configuration_and_a_volume(lab: Lab, masters: Masters) -> None:
    run_up(lab, FOLDER)

    assert masters.scripts == [("demo1", schedule.INSTALL)]
    assert masters.attached == [
        ("demo1", f"plex-demo-backups-{lab.ctx.seed.short_id}", "/srv/backups")
    ]
    config = json.loads(masters.files["etc/plexctl/backup.json"])
    assert (config["folder"], config["keep"], config["plex"]) == ("/srv/backups", 7, "demo")
    assert config["recipient"].startswith("age1")
    assert "s3" not in config
    assert masters.files["usr/local/lib/plexctl/backup"] == b"program"
    timer = masters.files["etc/systemd/system/plex-backup.timer"].decode()
    assert "OnUnitActiveSec=21600s" in timer


def test_the_same_schedule_again_does_nothing(lab: Lab, masters: Masters) -> None:
    run_up(lab, FOLDER)
    run_up(lab, FOLDER)

    assert len(masters.scripts) == 1


def test_another_schedule_replaces_no_node(lab: Lab, masters: Masters) -> None:
    run_up(lab, FOLDER)
    lab.forget()
    result = up(lab.ctx, with_schedule(lab, replace(FOLDER, every=600)))

    assert result.changes == ()
    assert len(masters.scripts) == 2
    assert "OnUnitActiveSec=600s" in masters.files["etc/systemd/system/plex-backup.timer"].decode()


def test_plan_notes_masters_that_are_to_be_set_up(lab: Lab, masters: Masters) -> None:
    def notes(wanted: Schedule | None) -> tuple[str, ...]:
        states = Here().ask(read_hosts, lab.ctx.hosts, ("local", "far"))
        return planning.plan(lab.ctx, with_schedule(lab, wanted), states).notes

    note = "`up` also sets up the scheduled backups of demo1"
    run_up(lab, None)
    assert notes(None) == ()
    assert notes(FOLDER) == (note,)
    run_up(lab, FOLDER)
    assert notes(FOLDER) == ()
    assert notes(replace(FOLDER, keep=8)) == (note,)
    assert notes(None) == (note,)


def test_a_replaced_master_is_set_up_again(lab: Lab, masters: Masters) -> None:
    run_up(lab, FOLDER)
    lab.local.instances.held.pop("demo1")
    run_up(lab, FOLDER)

    assert [name for name, _ in masters.scripts] == ["demo1", "demo1"]


def test_without_a_schedule_masters_end_it_once(lab: Lab, masters: Masters) -> None:
    run_up(lab, FOLDER)
    for _ in range(2):
        run_up(lab, None)

    assert [script for _, script in masters.scripts] == [schedule.INSTALL, schedule.REMOVE]


def test_a_master_that_cannot_be_set_up_is_named(lab: Lab, masters: Masters) -> None:
    masters.code = 2
    with pytest.raises(PlexError, match="backups of demo1 cannot be set up") as failed:
        run_up(lab, FOLDER)
    assert failed.value.details == ("tar: no space left",)

    masters.code = 0
    run_up(lab, FOLDER)
    assert len(masters.scripts) == 2, "the next run tries again"


def test_a_bucket_needs_its_keys_before_anything_changes(lab: Lab, masters: Masters) -> None:
    with pytest.raises(UsageError, match="keys of the bucket backups are not stored"):
        run_up(lab, BUCKET)
    assert not lab.local.instances.held

    plex = with_schedule(lab, BUCKET)
    result = store_key(lab.ctx, plex, KEYS)
    assert result.changed
    assert not store_key(lab.ctx, plex, KEYS).changed
    stored_file = plex.file.parent / FILE
    assert result.file == stored_file
    assert b"the-secret-key" not in stored_file.read_bytes()

    run_up(lab, BUCKET)
    config = json.loads(masters.files["etc/plexctl/backup.json"])
    assert config["s3"] == {
        "endpoint": "s3.lab.test:9000",
        "plain": False,
        "region": "us-east-1",
        "bucket": "backups",
        "prefix": "a/",
        "ca": "",
        "accessKey": "the-access-key",
        "secretKey": "the-secret-key",
    }
    assert not masters.attached


@pytest.mark.parametrize(
    "given", [b"", b"one\n", b"one\ntwo\nthree\n", b"one two three", b"x" * 5000]
)
def test_keys_are_two_lines(lab: Lab, given: bytes) -> None:
    with pytest.raises(UsageError, match="two lines"):
        store_key(lab.ctx, with_schedule(lab, BUCKET), Secret(given))


def test_a_folder_needs_no_keys(lab: Lab) -> None:
    with pytest.raises(UsageError, match="need no keys"):
        store_key(lab.ctx, with_schedule(lab, FOLDER), KEYS)


NAMES = ("demo-20261130T080000Z.backup", "demo-20261130T090000Z.backup")


def backup(lab: Lab, created: str) -> bytes:
    plex = lab.ctx.lab.plexes["demo"]
    manifest = Manifest(
        "demo", lab.ctx.seed.lab_id, created, plex.kubernetes, ("demo1",), 1,
        str(plex.networks.services), plex.domain,
    )  # fmt: skip
    content = bytes(512) + hashlib.sha256(bytes(512)).digest()
    return pack(lab.ctx.seed, Backup(manifest, content))


@pytest.fixture
def written(lab: Lab, masters: Masters) -> Plex:
    """A plex whose masters have written two backups. Other files are there, too."""
    plex = with_schedule(lab, FOLDER)
    times = ("2026-11-30T08:00:00+00:00", "2026-11-30T09:00:00+00:00")
    files = {name: backup(lab, at) for name, at in zip(NAMES, times, strict=True)}
    others = dict.fromkeys(
        ("notes", "other-20261130T090000Z.backup", "demo-99999999T999999Z.backup"), b""
    )
    masters.volumes[schedule.volume(lab.ctx, plex)] = {**files, **others}
    return plex


def test_backups_are_listed_with_their_age(lab: Lab, written: Plex) -> None:
    now = datetime(2026, 11, 30, 10, tzinfo=UTC)
    found = list_backups(lab.ctx, written, now=now)

    assert [(row.name, row.age) for row in found.backups] == [(NAMES[0], 7200), (NAMES[1], 3600)]
    assert found.to == "/srv/backups"
    assert not found.late
    assert list_backups(lab.ctx, written, now=datetime(2026, 12, 1, tzinfo=UTC)).late


def test_the_latest_and_a_named_one_are_found(lab: Lab, written: Plex, tmp_path: Path) -> None:
    assert find(lab.ctx, written, "latest").manifest.created == "2026-11-30T09:00:00+00:00"
    assert find(lab.ctx, written, NAMES[0]).manifest.created == "2026-11-30T08:00:00+00:00"
    file = tmp_path / "a.backup"
    file.write_bytes(backup(lab, "2026-11-30T07:00:00+00:00"))
    assert find(lab.ctx, written, str(file)).manifest.created == "2026-11-30T07:00:00+00:00"


def test_what_is_not_there_is_named(lab: Lab, written: Plex, masters: Masters) -> None:
    with pytest.raises(UsageError, match="there is no backup demo-20250101T000000Z") as failed:
        find(lab.ctx, written, "demo-20250101T000000Z.backup")
    assert NAMES[1] in (failed.value.hint or "")
    masters.volumes.clear()
    with pytest.raises(UsageError, match="there is no backup latest"):
        find(lab.ctx, written, "latest")
    with pytest.raises(UsageError, match="write no backups"):
        find(lab.ctx, with_schedule(lab, None), "latest")


def test_a_damaged_one_is_refused(lab: Lab, written: Plex, masters: Masters) -> None:
    masters.volumes[schedule.volume(lab.ctx, written)][NAMES[1]] = b"age-encryption.org/v1\n"
    with pytest.raises(UsageError, match="is not a backup that can be restored here"):
        find(lab.ctx, written, "latest")


def test_a_bucket_is_read_by_the_program_with_keys_on_its_input(
    lab: Lab, masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    plex = with_schedule(lab, BUCKET)
    store_key(lab.ctx, plex, KEYS)
    content = backup(lab, "2026-11-30T09:00:00+00:00")
    calls = []

    def run(
        argv: tuple[Path | str, ...], *, stdin: bytes, env: dict[str, str], **_: object
    ) -> CommandResult:
        calls.append(argv[1:])
        assert json.loads(stdin)["s3"]["secretKey"] == "the-secret-key"
        assert "the-secret-key" not in f"{argv} {env}"
        if argv[1] == "list":
            return CommandResult((), 0, json.dumps([{"name": NAMES[1], "size": 9}]), "")
        return CommandResult((), 0, base64.b64encode(content).decode(), "")

    monkeypatch.setattr(process, "run", run)

    assert list_backups(lab.ctx, plex).to == "s3://backups/a"
    assert find(lab.ctx, plex, "latest").manifest.created == "2026-11-30T09:00:00+00:00"
    assert calls == [("list", "-"), ("list", "-"), ("get", "-", NAMES[1])]


def test_a_bucket_that_refuses_is_named(
    lab: Lab, masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    plex = with_schedule(lab, BUCKET)
    store_key(lab.ctx, plex, KEYS)
    refused = CommandResult((), 1, "", "backup: Access Denied.")
    monkeypatch.setattr(process, "run", lambda *_, **__: refused)

    with pytest.raises(PlexError, match="backups of demo cannot be read") as failed:
        list_backups(lab.ctx, plex)
    assert failed.value.details == ("backup: Access Denied.",)
