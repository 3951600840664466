"""Backups: their file, whether one fits a plex, and runs that save and restore one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.bootstrap.etcd import SCRIPT
from plexctl.clients.kube.client import Kube, Pod, UnreachableError
from plexctl.errors import PlexError, UsageError
from plexctl.keys.backups import backup_identity, seal, signature, signing_key, unseal
from plexctl.keys.seed import RootSeed
from plexctl.model.backup import Backup, Manifest, read_manifest, write_manifest
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.plex import JsonText, Plex
from plexctl.model.secret import Secret
from plexctl.model.streams import Streams
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import plan_plex
from plexctl.results.up import UpResult
from plexctl.workflow.backups import archive, restore, save
from plexctl.workflow.backups.archive import MANIFEST, SNAPSHOT, pack, read, unpack
from plexctl.workflow.backups.fit import require_fit
from plexctl.workflow.core.phases import UP_RESTORE, unfinished_work
from plexctl.workflow.plex import apply, converge
from plexctl.workflow.plex.verbs import replace as replace_nodes
from plexctl.workflow.plex.verbs import up
from tests.fake_incus import FakeIncus
from tests.unit.workflow import test_converge
from tests.unit.workflow.test_converge import Lab

lab = test_converge.lab

SEED = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))
OTHER = RootSeed(Secret(b"another seed, of 32 bytes, too.."))
CREATED = "2026-11-30T09:00:00+00:00"


def snapshot(size: int = 1024) -> bytes:
    return bytes(size) + hashlib.sha256(bytes(size)).digest()


def a_manifest(**fields: Any) -> Manifest:
    known: dict[str, Any] = {
        "plex": "demo",
        "lab": SEED.lab_id,
        "created": CREATED,
        "kubernetes": "1.36.3",
        "masters": ("demo1",),
        "epoch": 1,
        "services": "10.96.0.0/20",
        "domain": "cluster.local",
    }
    return Manifest(**{**known, **fields})


BACKUP = Backup(a_manifest(), snapshot())


def tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content)
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def sparse(name: str, size: int) -> bytes:
    """A tar of one member that has no content, and says that it is `size` zeros."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    for at, number in ((386, size), (398, 0), (483, size)):
        header[at : at + 12] = b"%011o\0" % number
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def sealed(body: bytes, plex: str = "demo") -> bytes:
    """A file whose signature is right, whatever is in it."""
    return seal(SEED, signature(signing_key(SEED, plex), body) + body)


def test_what_was_packed_is_read_again() -> None:
    packed = pack(SEED, BACKUP)

    assert unpack(SEED, packed) == BACKUP
    assert b"demo" not in packed


def test_a_manifest_is_written_and_read() -> None:
    several = a_manifest(masters=("demo1", "demo2", "demo3"))

    assert read_manifest(write_manifest(several)) == several
    assert several.minor == (1, 36)


MEMBERS = ((MANIFEST, write_manifest(a_manifest())), (SNAPSHOT, snapshot()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"no backup", "damaged"),
        (pack(SEED, BACKUP)[:-20], "damaged"),
        (pack(SEED, BACKUP)[:100], "damaged"),
        (pack(SEED, BACKUP) + b"x", "damaged"),
        (pack(OTHER, BACKUP), "another lab has written it"),
        (seal(SEED, b"short"), "only a part"),
        (seal(SEED, bytes(32) + gzip.compress(tar(*MEMBERS))), "no master of demo has signed it"),
        (sealed(gzip.compress(tar(*MEMBERS)), "far"), "no master of demo has signed it"),
        (sealed(gzip.compress(tar(*MEMBERS))[:-9]), "too large, or only a part"),
        (sealed(gzip.compress(tar(*MEMBERS[:1]))), "other members"),
        (sealed(gzip.compress(tar(*MEMBERS[::-1]))), "other members"),
        (sealed(gzip.compress(tar(*MEMBERS, ("more", b"")))), "other members"),
        (
            sealed(gzip.compress(tar((MANIFEST, b""), kind=tarfile.SYMTYPE, link="/etc/passwd"))),
            "other members",
        ),
        (
            sealed(gzip.compress(tar(MEMBERS[0])[:1024] + sparse(SNAPSHOT, 1 << 20))),
            "other members",
        ),
        (sealed(gzip.compress(tar(MEMBERS[0], (SNAPSHOT, bytes(1056))))), "snapshot of etcd"),
        (sealed(gzip.compress(tar((MANIFEST, b"[]"), MEMBERS[1]))), "lacks a field"),
        (sealed(gzip.compress(tar((MANIFEST, b"{}"), MEMBERS[1]))), "lacks a field"),
        (sealed(gzip.compress(tar((MANIFEST, b"\xff"), MEMBERS[1]))), "utf-8"),
        (sealed(gzip.compress(tar((MANIFEST, b'{"version": 2}'), MEMBERS[1]))), "version is 2"),
    ],
    ids=map(str, range(20)),
)
def test_what_is_no_backup_of_this_lab_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack(SEED, content)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("masters", ()),
        ("masters", (1,)),
        ("masters", ("a",) * 10),
        ("created", "yesterday"),
        ("kubernetes", "1"),
        ("kubernetes", "one.two"),
        ("epoch", True),
        ("epoch", "1"),
        ("plex", ""),
        ("domain", "x" * 300),
    ],
)
def test_a_wrong_field_of_a_manifest_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_manifest(write_manifest(a_manifest(**{field: value})))


def test_a_file_that_would_expand_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST", 1 << 16)
    large = snapshot(1 << 20)

    with pytest.raises(ValueError, match="too large"):
        unpack(SEED, sealed(gzip.compress(tar(MEMBERS[0], (SNAPSHOT, large)))))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(pack(OTHER, BACKUP))
    for name, reason in (("none", "No such file"), ("old", "another lab"), (".", "Is a directory")):
        with pytest.raises(UsageError, match=reason) as failed:
            read(SEED, tmp_path / name)
        assert failed.value.exit_code == 2


def test_the_secret_of_backups_is_no_other_secret_of_the_lab() -> None:
    from plexctl.keys.age import sops_identity

    assert backup_identity(SEED) != sops_identity(SEED, 1)
    assert unseal(SEED, seal(SEED, b"x")) == b"x"


@pytest.fixture
def demo(lab: Lab) -> Plex:
    return lab.ctx.lab.plexes["demo"]


def fitting(plex: Plex, **fields: Any) -> Manifest:
    return a_manifest(services=str(plex.networks.services), kubernetes=plex.kubernetes, **fields)


def test_a_backup_of_the_plex_fits_and_of_the_minor_version_before(demo: Plex) -> None:
    require_fit(demo, SEED.lab_id, fitting(demo))
    require_fit(demo, SEED.lab_id, replace(fitting(demo), kubernetes="1.36.0"))
    require_fit(demo, SEED.lab_id, replace(fitting(demo), kubernetes="1.35.9"))
    require_fit(replace(demo, masters=3), SEED.lab_id, fitting(demo))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"plex": "far"}, "plex far, not of demo"),
        ({"lab": "0" * 32}, "plex demo, not of demo"),
        ({"kubernetes": "1.37.0"}, "Kubernetes 1.37.0, and demo has 1.36"),
        ({"kubernetes": "1.34.1"}, "Kubernetes 1.34.1"),
        ({"epoch": 2}, "`epoch: 2`, and demo has 1"),
        ({"services": "10.0.0.0/20"}, "`networks.services: 10.0.0.0/20`"),
        ({"domain": "lab.test"}, "`domain: lab.test`"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused(
    demo: Plex, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason) as failed:
        require_fit(demo, SEED.lab_id, replace(fitting(demo), **fields))
    assert failed.value.hint


def test_opentofu_and_another_data_folder_are_refused(demo: Plex) -> None:
    moved = JsonText('{"etcd": {"local": {"dataDir": "/data"}}}')
    for plex, reason in (
        (replace(demo, engine=ProvisionEngine.TOFU), "engine tofu"),
        (replace(demo, cluster=moved), "dataDir"),
    ):
        with pytest.raises(UsageError, match=reason):
            require_fit(plex, SEED.lab_id, fitting(demo))


class Cluster(Kube):
    """The API of a cluster that has a pod on a node that is gone."""

    deleted: list[str]

    def __init__(self, inner: Kube) -> None:
        self.__dict__.update(inner.__dict__)
        self.inner, self.deleted, self.labelled = inner, [], list[str]()

    def nodes(self) -> Any:
        return self.inner.nodes()

    def ready_endpoints(self, namespace: str, service: str) -> int:
        return 1

    def pods(self, *, node: str = "", selector: str = "") -> tuple[Pod, ...]:
        pods = (("a", "demo2"), ("b", "demo9"), ("c", ""))
        return tuple(Pod("default", name, node, "Running", True, "") for name, node in pods)

    def delete_lost_pod(self, pod: Pod) -> None:
        self.deleted.append(pod.name)

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        self.labelled.append(path)
        return True

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any]:
        return {"gitVersion": "v1.36.3"}


@pytest.fixture
def plex(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose plex is up. `inputs` of its later runs are recorded."""
    lab.up()
    lab.forget()
    kube = Cluster(lab.kube)

    @contextmanager
    def cluster(*_: object, **__: object) -> Iterator[Kube]:
        yield kube

    monkeypatch.setattr(converge, "cluster", cluster)
    monkeypatch.setattr(save, "cluster", cluster)
    monkeypatch.setattr(restore, "_require_program", lambda *_: None)
    monkeypatch.setattr(apply, "STARTED", 0.1)  # workers wait so long for a master that never does
    return lab


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Inputs]:
    found: list[Inputs] = []

    def plan(wanted: Plex, inputs: Inputs) -> Any:
        found.append(inputs)
        return plan_plex(wanted, inputs)

    monkeypatch.setattr(converge, "plan_plex", plan)
    return found


def run_restore(lab: Lab, **fields: Any) -> UpResult:
    wanted = lab.ctx.lab.plexes["demo"]
    backup = Backup(replace(fitting(wanted), **fields), snapshot())
    return up(lab.ctx, wanted, backup=backup)


def test_a_restore_replaces_all_nodes_and_masters_get_the_backup(
    plex: Lab, planned: list[Inputs]
) -> None:
    result = run_restore(plex)

    held = [one for host in (plex.local, plex.far) for one in host.instances.held.values()]
    assert {one.tags["run"] for one in held} == {result.run}
    assert len(held) == 3
    assert {change.action for change in result.changes} == {"replace"}
    taken = planned[0].etcd
    assert taken is not None
    assert (taken.content, taken.continues) == (snapshot(), False)
    assert taken.nodes == ("demo1", "demo2", "demo3")
    assert planned[0].birth is not None
    assert not planned[0].additions
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None
    assert restore.COPY not in plex.ctx.plex_folder("demo").names()
    assert plex.up().changes == ()


def test_pods_of_nodes_that_are_gone_are_deleted(plex: Lab) -> None:
    run_restore(plex)

    assert "delete pods of nodes that are gone" in plex.steps
    assert plex.ends["delete pods of nodes that are gone"] == "1 deleted"


def test_nodes_that_were_something_else_register_again(plex: Lab, planned: list[Inputs]) -> None:
    run_restore(plex, masters=("demo1", "demo2", "demo3"))

    assert planned[0].etcd is not None
    assert planned[0].etcd.nodes == ("demo1",)


def test_masters_that_the_file_has_no_more_are_replaced_too(plex: Lab) -> None:
    """Else a new master would join the cluster that runs, instead of beginning another."""
    for host in (plex.local, plex.far):
        for name, one in host.instances.held.items():
            born = {**one.tags, "born": plex.local.instances.held["demo1"].tags["run"]}
            born.pop("parent", None)
            host.instances.held[name] = replace(one, tags=born)

    result = run_restore(plex)

    assert {(change.name, change.action) for change in result.changes} == {
        (f"demo{n}", "replace") for n in (1, 2, 3)
    }
    assert not any("master" in title for title in plex.steps)


class Killed(BaseException):
    """The process is gone."""


def kill(lab: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process of a restore end at a call; what it would have cleaned up is left."""
    gone: list[str] = []

    def before(made: str, name: str) -> None:
        if gone or (made, name) == (call, node):
            gone.append(made)
            raise Killed

    hosts = (lab.local, lab.far)
    for host in hosts:
        host.before = before
    with monkeypatch.context() as patch:
        patch.setattr(restore, "give_up", lambda *_: None)
        with pytest.raises(Killed):
            run_restore(lab)
    for host in hosts:
        host.before = lambda call, name: None


def test_a_restore_that_was_killed_before_a_master_started_is_completed_by_up(
    plex: Lab, planned: list[Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(plex, "instances.start", "demo1", monkeypatch)
    work = unfinished_work(plex.ctx.plex_folder("demo"))
    assert work is not None
    assert work.verb == UP_RESTORE
    copy = plex.ctx.plex_folder("demo").path / restore.COPY
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    plex.up()

    assert planned[-1].etcd is not None
    assert planned[-1].etcd.content == snapshot()
    assert any("it is completed first" in note for note in plex.notes)
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None
    assert plex.up().changes == ()


def test_once_a_master_has_started_the_backup_is_not_restored_again(
    plex: Lab, planned: list[Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster may have changed since: what was written to it would be lost."""
    kill(plex, "instances.start", "demo2", monkeypatch)
    born = plex.local.instances.held["demo1"]

    plex.up()

    assert planned[-1].etcd is None
    assert plex.local.instances.held["demo1"] == born
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None


def test_replace_master_gives_an_interrupted_restore_up(
    plex: Lab, planned: list[Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(plex, "instances.start", "demo1", monkeypatch)

    replace_nodes(plex.ctx, plex.ctx.lab.plexes["demo"], ["master"])

    assert planned[-1].etcd is None
    assert any("is given up" in note for note in plex.notes)
    assert restore.COPY not in plex.ctx.plex_folder("demo").names()


def test_without_its_copy_an_interrupted_restore_is_named(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(plex, "instances.start", "demo1", monkeypatch)
    plex.ctx.plex_folder("demo").delete(restore.COPY)

    with pytest.raises(PlexError, match="copy of the backup is gone") as failed:
        plex.up()
    assert "--restore FILE" in (failed.value.hint or "")


def test_a_backup_that_does_not_fit_changes_nothing(plex: Lab) -> None:
    plex.forget()
    with pytest.raises(UsageError):
        run_restore(plex, epoch=7)

    assert plex.local.calls == []


def etcd_says(lab: Lab, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Let the master answer for etcd."""
    from plexctl.model.command import CommandResult

    members = '[{"name": "demo1", "learner": false, "healthy": true, "leads": true}]'

    def execute(
        self: FakeIncus, name: str, argv: tuple[str, ...], *, timeout: float = 30
    ) -> CommandResult:
        assert argv == ("python3", "-ISc", SCRIPT, "show")
        return CommandResult(argv, 0, members, "")

    def run(
        self: FakeIncus,
        name: str,
        argv: tuple[str, ...],
        streams: Streams,
        *,
        timeout: float | None = None,
    ) -> int:
        assert (name, argv[-1]) == ("demo1", "save")
        streams.stdout.write(base64.b64encode(content))
        return 0

    monkeypatch.setattr(FakeIncus, "execute", execute)
    monkeypatch.setattr(FakeIncus, "run", run)


def test_a_backup_is_a_file_that_only_its_owner_reads(
    plex: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd_says(plex, monkeypatch, snapshot())
    file = tmp_path / "demo.backup"

    result = save.backup(plex.ctx, plex.ctx.lab.plexes["demo"], file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = read(SEED, file)
    assert found.content == snapshot()
    assert found.manifest.masters == ("demo1",)
    assert found.manifest.kubernetes == "1.36.3"
    assert (result.plex, result.file, result.size) == ("demo", file, file.stat().st_size)


def test_a_file_is_replaced_only_on_request_and_a_link_never(
    plex: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd_says(plex, monkeypatch, snapshot())
    wanted, file, link = plex.ctx.lab.plexes["demo"], tmp_path / "file", tmp_path / "link"
    file.write_text("precious")
    link.symlink_to(file)

    with pytest.raises(UsageError, match="exists already"):
        save.backup(plex.ctx, wanted, file)
    for refused in (link, tmp_path):
        with pytest.raises(UsageError, match="it is not a file"):
            save.backup(plex.ctx, wanted, refused, replace=True)
    with pytest.raises(UsageError, match="there is no folder"):
        save.backup(plex.ctx, wanted, tmp_path / "none" / "file")
    assert file.read_text() == "precious"

    save.backup(plex.ctx, wanted, file, replace=True)
    assert read(SEED, file).content == snapshot()


def test_a_plex_without_a_master_has_nothing_to_save(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="demo has no cluster that could be saved"):
        save.backup(lab.ctx, lab.ctx.lab.plexes["demo"], tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_broken_api_is_no_obstacle(
    plex: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd_says(plex, monkeypatch, snapshot())

    @contextmanager
    def broken(*_: object, **__: object) -> Iterator[Kube]:
        raise UnreachableError("the API does not answer")
        yield

    monkeypatch.setattr(save, "cluster", broken)
    wanted = plex.ctx.lab.plexes["demo"]
    save.backup(plex.ctx, wanted, tmp_path / "file")

    assert read(SEED, tmp_path / "file").manifest.kubernetes == wanted.kubernetes
    assert any("does not say its version" in note for note in plex.notes)
