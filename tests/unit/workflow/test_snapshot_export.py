"""A snapshot in a file: exported from two hosts in memory, imported into them, refused, killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.errors import PlexError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.secret import Secret
from plexctl.model.types import Form
from plexctl.results.snapshots import SnapshotExportResult, SnapshotImportResult
from plexctl.workflow.core.phases import unfinished_work
from plexctl.workflow.plex.verbs import destroy
from plexctl.workflow.snapshots import archive as archives
from plexctl.workflow.snapshots import export as exporting
from plexctl.workflow.snapshots.export import export
from plexctl.workflow.snapshots.imports import import_
from plexctl.workflow.snapshots.verbs import list_snapshots
from tests.unit.workflow import test_converge, test_snapshots
from tests.unit.workflow.test_converge import IMAGE, Lab
from tests.unit.workflow.test_snapshots import Killed, contents, run_save, statuses, write

lab = test_converge.lab
plex = test_snapshots.plex

Kill = Callable[[str, str], None]


@pytest.fixture
def saved(plex: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A plex with the snapshot "before"."""
    names = {(host, "kube"): IMAGE for host in ("local", "far")}
    monkeypatch.setattr(exporting, "names_of_images", lambda *_: names)
    run_save(plex)
    write(plex, "new")
    plex.forget()
    return plex


@pytest.fixture
def file(saved: Lab, tmp_path: Path) -> Path:
    """Its file; the plex is destroyed."""
    run_export(saved, tmp_path / "before.tar")
    destroy(saved.ctx, "demo")
    saved.forget()
    return tmp_path / "before.tar"


def run_export(lab: Lab, file: Path, *, overwrite: bool = False) -> SnapshotExportResult:
    return export(lab.ctx, lab.ctx.lab.plexes["demo"], "before", file, replace=overwrite)


def temporary(lab: Lab) -> list[str]:
    return [i.fingerprint for h in (lab.local, lab.far) for i in h.images.held if not i.names]


def objects(lab: Lab) -> list[str]:
    parts = [
        part.held for h in (lab.local, lab.far) for part in (h.instances, h.networks, h.profiles)
    ]
    return [name for held in parts for name in held]


def kill_at(lab: Lab, call: str, name: str, work: Callable[[], object]) -> None:
    """Let the process end at a call: its own cleanup calls reach no host any more."""
    gone: list[str] = []

    def before(made: str, whose: str) -> None:
        if gone or (made, whose) == (call, name):
            gone.append(made)
            raise Killed

    for host in (lab.local, lab.far):
        host.before = before
    with pytest.raises(Killed):
        work()
    for host in (lab.local, lab.far):
        host.before = lambda call, name: None


def test_an_imported_plex_has_its_disks_a_snapshot_and_nothing_to_do(
    saved: Lab, file: Path
) -> None:
    result = import_(saved.ctx, file)

    assert isinstance(result, SnapshotImportResult)
    assert (result.plex, result.snapshot) == ("demo", "before")
    assert contents(saved) == {"old"}
    assert statuses(saved) == dict.fromkeys(("demo1", "demo2", "demo3"), "Running")
    assert temporary(saved) == []
    (row,) = list_snapshots(saved.ctx, saved.ctx.lab.plexes["demo"]).snapshots
    assert (row.name, row.complete) == ("before", True)
    assert saved.up().changes == ()
    test_snapshots.run_restore(saved)


def test_an_export_leaves_the_plex_as_it_is_and_nothing_else_on_its_hosts(
    saved: Lab, tmp_path: Path
) -> None:
    result = run_export(saved, tmp_path / "x.tar")
    assert (result.nodes, result.size) == (("demo1", "demo2", "demo3"), 3 * 10240)
    assert (tmp_path / "x.tar").stat().st_mode & 0o777 == 0o600
    assert temporary(saved) == []
    assert contents(saved) == {"new"}
    assert not saved.local.names("instances.stop")
    assert unfinished_work(saved.ctx.plex_folder("demo")) is None


def test_settings_of_imported_nodes_are_those_of_the_plan(saved: Lab, file: Path) -> None:
    before = {name: dict(config) for name, config in saved.local.instances.config.items()}
    devices = dict(saved.local.instances.devices)
    import_(saved.ctx, file)
    assert saved.local.instances.devices == devices
    for name, config in saved.local.instances.config.items():
        own = {key: value for key, value in config.items() if not key.startswith("user.plex.")}
        old = before[name].items()
        assert own == {key: value for key, value in old if not key.startswith("user.plex.")}
        assert config["user.plex.hash"] == before[name]["user.plex.hash"]
        assert config["user.plex.run"].endswith("-import-demo")
    baked = {one.fingerprint for one in saved.local.images.held if IMAGE in one.names}
    assert saved.local.images_in_use() == baked, "`bake --prune` keeps it"


def test_a_snapshot_may_get_another_name(saved: Lab, file: Path) -> None:
    assert import_(saved.ctx, file, "copy").snapshot == "copy"
    with pytest.raises(UsageError, match="cannot be the name of a snapshot"):
        import_(saved.ctx, file, "../x")


def test_a_file_that_exists_stops_an_export_before_anything(saved: Lab, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run_export(saved, tmp_path / "x.tar")
    assert not saved.local.calls
    run_export(saved, tmp_path / "x.tar", overwrite=True)


def test_a_snapshot_of_other_files_of_the_lab_cannot_be_exported(
    saved: Lab, tmp_path: Path
) -> None:
    """Nobody could create its instances."""
    seen, content = saved.far.disks.held["demo2"]["plex3-before"]
    other = replace(seen, tags={**seen.tags, "hash": "another"})
    saved.far.disks.held["demo2"]["plex3-before"] = (other, content)
    with pytest.raises(UsageError, match="define other nodes than demo2"):
        run_export(saved, tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()


def nothing_was_done(lab: Lab) -> bool:
    calls = {call for host in (lab.local, lab.far) for call, _ in host.calls}
    return objects(lab) == [] and not {one for one in calls if one.endswith((".create", ".put"))}


def test_another_lab_refuses_the_file(saved: Lab, file: Path) -> None:
    other = replace(saved.ctx, seed=RootSeed(Secret(bytes(32))))
    with pytest.raises(UsageError, match=r"manifest.json: lab: it is of the lab"):
        import_(other, file)
    assert nothing_was_done(saved)


@pytest.mark.parametrize("place", [2000, 33000])
@pytest.mark.parametrize("how", ["cut", "changed"])
def test_a_damaged_file_is_refused_and_nothing_is_done(
    saved: Lab, file: Path, place: int, how: str
) -> None:
    content = file.read_bytes()
    rest = content[place:] if how == "changed" else b""
    flipped = bytes([content[place] ^ 1]) + rest[1:] if rest else b""
    file.write_bytes(content[:place] + flipped)
    with pytest.raises(UsageError):
        import_(saved.ctx, file)
    assert nothing_was_done(saved)
    assert unfinished_work(saved.ctx.plex_folder("demo")) is None


def test_a_disk_with_a_file_outside_of_it_is_refused_and_nothing_is_done(
    saved: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab itself has signed what a hostile node had on its disk."""
    monkeypatch.setattr("tests.fake_incus.CONTENT", "rootfs/../../etc/passwd")
    run_export(saved, tmp_path / "x.tar")
    destroy(saved.ctx, "demo")
    saved.forget()
    with pytest.raises(UsageError, match=r"nodes/demo1.tar: .* is no path below rootfs/"):
        import_(saved.ctx, tmp_path / "x.tar")
    assert nothing_was_done(saved)


def test_a_plex_that_exists_is_not_imported(saved: Lab, file: Path) -> None:
    saved.up()
    before = objects(saved)
    with pytest.raises(UsageError, match="demo exists already: demo1, demo2, demo3"):
        import_(saved.ctx, file)
    assert objects(saved) == before


def with_plex(lab: Lab, **fields: object) -> Lab:
    demo = replace(lab.ctx.lab.plexes["demo"], **fields)  # type: ignore[arg-type]
    changed = replace(lab.ctx.lab, plexes={"demo": demo} if fields else {})
    return replace(lab, ctx=replace(lab.ctx, lab=changed))


def test_other_files_of_the_lab_are_refused_with_the_nodes_that_differ(
    saved: Lab, file: Path
) -> None:
    with pytest.raises(UsageError, match="define other nodes of demo") as refused:
        import_(with_plex(saved, workers=1).ctx, file)
    assert "demo3 is only in the file" in refused.value.details
    with pytest.raises(UsageError, match="define other nodes of demo") as refused:
        import_(with_plex(saved, domain="other.local").ctx, file)
    assert "demo1 would boot with other files" in refused.value.details
    assert nothing_was_done(saved)


def test_another_image_is_refused(saved: Lab, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {(host, "kube"): "plex-kube-ffffffffffff" for host in ("local", "far")}
    monkeypatch.setattr(exporting, "names_of_images", lambda *_: names)
    with pytest.raises(UsageError) as refused:
        import_(saved.ctx, file)
    assert "demo1 would have the image plex-kube-ffffffffffff" in refused.value.details


def test_a_lab_without_the_plex_refuses(saved: Lab, file: Path) -> None:
    with pytest.raises(UsageError, match="the lab has no plex demo"):
        import_(with_plex(saved).ctx, file)


def test_an_engine_with_a_state_of_its_own_and_vms_are_refused(saved: Lab, file: Path) -> None:
    with pytest.raises(UsageError, match="has the engine tofu"):
        import_(with_plex(saved, engine=ProvisionEngine.TOFU).ctx, file)
    kube = saved.ctx.lab.plexes["demo"].type
    vm = replace(kube, base=replace(kube.base, form=Form.VM))
    with pytest.raises(UsageError, match="demo1, demo2, demo3 are VMs"):
        import_(with_plex(saved, type=vm).ctx, file)


def test_a_failed_import_deletes_what_it_created(saved: Lab, file: Path) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("images.upload_pieces", "demo3"):
            raise PlexError("no space left on device")

    saved.local.before = before
    with pytest.raises(PlexError, match="no space left"):
        import_(saved.ctx, file)
    assert saved.local.names("instances.create") == ["demo1"]
    assert objects(saved) == []
    assert temporary(saved) == []
    assert unfinished_work(saved.ctx.plex_folder("demo")) is None


@pytest.mark.parametrize(
    ("call", "name", "verb"),
    [
        ("networks.put", "plex-demo", "up"),
        ("images.upload_pieces", "demo2", "import"),
        ("instances.create", "demo2", "destroy"),
        ("instances.create", "demo3", "up"),
        ("snapshots.create", "demo3", "import"),
    ],
)
def test_the_next_run_deletes_what_a_killed_import_left(
    saved: Lab, file: Path, call: str, name: str, verb: str
) -> None:
    kill_at(saved, call, name, lambda: import_(saved.ctx, file))
    work = unfinished_work(saved.ctx.plex_folder("demo"))
    assert work
    assert work.verb == "import"

    match verb:
        case "up":
            saved.up()
            assert contents(saved) == set()
        case "import":
            import_(saved.ctx, file)
            assert contents(saved) == {"old"}
        case "destroy":
            destroy(saved.ctx, "demo")
            assert objects(saved) == []
    assert temporary(saved) == []
    assert unfinished_work(saved.ctx.plex_folder("demo")) is None


@pytest.mark.parametrize("call", ["instances.start", "snapshots.restore"])
def test_an_import_that_is_killed_after_its_snapshot_is_completed(
    saved: Lab, file: Path, call: str
) -> None:
    kill_at(saved, call, "demo1", lambda: import_(saved.ctx, file))
    assert saved.up().changes == ()
    assert contents(saved) == {"old"}
    assert set(statuses(saved).values()) == {"Running"}


def test_the_next_run_deletes_the_image_of_a_killed_export(saved: Lab, tmp_path: Path) -> None:
    fingerprints: list[str] = []

    def before(call: str, name: str) -> None:
        if call == "images.exported":
            fingerprints.append(name)
        if fingerprints:
            raise Killed

    saved.local.before = before
    with pytest.raises(Killed):
        run_export(saved, tmp_path / "x.tar")
    saved.local.before = lambda call, name: None
    assert temporary(saved) == fingerprints
    assert not list(tmp_path.glob("*x.tar*"))

    assert saved.up().changes == ()

    assert temporary(saved) == []
    assert unfinished_work(saved.ctx.plex_folder("demo")) is None


def test_images_of_another_run_and_of_another_lab_stay(saved: Lab, tmp_path: Path) -> None:
    own = {"plexctl.lab": saved.ctx.seed.lab_id}
    others = [
        saved.local.images.add(properties={**own, "plexctl.copy": "another"}),
        saved.local.images.add(properties={"plexctl.lab": "another"}),
    ]
    saved.local.disk_copies.delete_temporary({**own, "plexctl.copy": "run"})
    assert temporary(saved) == others


def test_the_manifest_has_what_an_import_needs(file: Path, saved: Lab) -> None:
    with archives.opened(file, saved.ctx.seed) as archive:
        found = json.loads(archive.manifest.signed(saved.ctx.seed))
    assert found["version"] == 1
    assert (found["plex"], found["kubernetes"]) == ("demo", "1.36.3")
    assert [one["name"] for one in found["nodes"]] == ["demo1", "demo2", "demo3"]
    assert {one["image"] for one in found["nodes"]} == {IMAGE}
