"""Snapshots of a plex on two hosts in memory: saved, restored, interrupted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plexctl.bootstrap import wait as waits
from plexctl.clients.kube.client import Kube, NodeStatus
from plexctl.errors import PlexError, UsageError
from plexctl.model.events import Phased
from plexctl.provision.change import Action
from plexctl.results.snapshots import SnapshotRow
from plexctl.workflow.core.phases import FILE, UP_RESTORE, Work, unfinished_work
from plexctl.workflow.plex.status import node_rows
from plexctl.workflow.plex.verbs import destroy
from plexctl.workflow.snapshots import restore as restoring
from plexctl.workflow.snapshots.controllers import HOLD, RELEASE
from plexctl.workflow.snapshots.restore import restore
from plexctl.workflow.snapshots.save import copying_hosts, save
from plexctl.workflow.snapshots.verbs import delete, list_snapshots
from tests.unit.workflow import test_converge
from tests.unit.workflow.test_converge import Lab

lab = test_converge.lab


READS = {"networks.list", "settle"}
"""Calls with which every run begins after one that was interrupted. They change nothing."""


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards is done."""


@pytest.fixture
def plex(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose plex is up: demo1 and demo3 on local, demo2 on far."""

    @contextmanager
    def cluster(*_: object, **__: object) -> Iterator[Kube]:
        yield lab.kube

    monkeypatch.setattr(restoring, "cluster", cluster)
    lab.up()
    write(lab, "old")
    lab.forget()
    return lab


def write(lab: Lab, content: str) -> None:
    for host in (lab.local, lab.far):
        host.disks.content = dict.fromkeys(host.instances.held, content)


def contents(lab: Lab) -> set[str]:
    return {text for host in (lab.local, lab.far) for text in host.disks.content.values()}


def statuses(lab: Lab) -> dict[str, str]:
    hosts = (lab.local, lab.far)
    return {one.name: one.status for host in hosts for one in host.instances.held.values()}


def run_save(lab: Lab, name: str = "before") -> None:
    save(lab.ctx, lab.ctx.lab.plexes["demo"], name)


def run_restore(lab: Lab, name: str = "before") -> None:
    restore(lab.ctx, lab.ctx.lab.plexes["demo"], name)


def rows(lab: Lab) -> tuple[SnapshotRow, ...]:
    now = datetime(2026, 11, 30, 10, tzinfo=UTC)
    return list_snapshots(lab.ctx, lab.ctx.lab.plexes["demo"], now=now).snapshots


def kill_at(lab: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process end at a call: its own cleanup calls reach no host any more."""
    gone: list[str] = []

    def before(made: str, name: str) -> None:
        if gone or (made, name) == (call, node):
            gone.append(made)
            raise Killed

    for host in (lab.local, lab.far):
        host.before = before
    with monkeypatch.context() as patch:
        patch.setattr("plexctl.workflow.core.phases.Phases.end", lambda _: None)
        with pytest.raises(Killed):
            run_restore(lab) if call.endswith(("stop", "restore", "start")) else run_save(lab)
    for host in (lab.local, lab.far):
        host.before = lambda call, name: None


def test_all_nodes_are_frozen_before_the_first_snapshot_and_thawed_after_the_last(
    plex: Lab,
) -> None:
    order: list[str] = []
    for host in (plex.local, plex.far):
        host.before = lambda call, name: order.append(call)
    run_save(plex)

    made = [call for call in order if call.startswith("snapshots.") and call != "snapshots.list"]
    kinds = ["snapshots.freeze"] * 3 + ["snapshots.create"] * 3 + ["snapshots.thaw"] * 3
    assert made == kinds
    assert set(statuses(plex).values()) == {"Running"}
    assert [host.instances.scripts for host in (plex.local, plex.far)] == [
        ["sync --file-system /"],
        ["sync --file-system /"],
    ], "one container writes the file system of its host's pool"
    (row,) = rows(plex)
    assert (row.name, row.nodes, row.complete, row.size) == ("before", 3, True, 3 << 20)


def test_the_journal_has_the_state_of_each_phase(plex: Lab) -> None:
    run_save(plex)
    phases = [(one.phase, one.state) for one in plex.events if isinstance(one, Phased)]
    assert phases == [
        (name, state)
        for name in ("sync", "freeze", "snapshot", "thaw")
        for state in ("began", "done")
    ]


def test_a_restored_plex_has_its_disks_and_up_has_nothing_to_do(plex: Lab) -> None:
    run_save(plex)
    write(plex, "new")
    plex.forget()
    run_restore(plex)

    assert contents(plex) == {"old"}
    assert set(statuses(plex).values()) == {"Running"}
    assert plex.up().changes == ()
    assert plex.local.instances.forced, "nodes are not shut down: their disks are replaced"


def test_the_master_starts_first(plex: Lab) -> None:
    run_save(plex)
    order: list[str] = []
    for host in (plex.local, plex.far):
        host.before = lambda call, name: order.append(name) if call == "instances.start" else None
    run_restore(plex)
    assert order[0] == "demo1"
    assert sorted(order) == ["demo1", "demo2", "demo3"]


def controllers(lab: Lab) -> list[str]:
    """What became of the manifests of controllers on masters."""
    words = {" ".join(HOLD): "held", " ".join(RELEASE): "released"}
    return [words[one] for one in lab.local.instances.scripts if one in words]


def test_controllers_start_once_the_api_answers(plex: Lab) -> None:
    run_save(plex)
    looks: list[list[str]] = []
    plex.kube.unanswered_probes = 1
    real = plex.kube.nodes

    def nodes() -> tuple[NodeStatus, ...]:
        looks.append(controllers(plex))
        return real()

    plex.kube.nodes = nodes  # type: ignore[method-assign]
    run_restore(plex)
    assert looks[:2] == [["held"], ["held"]], "the API does not answer, and then it does"
    assert controllers(plex) == ["held", "released"]
    assert not any(" ".join(HOLD) == one for one in plex.far.instances.scripts), "a worker"


def test_controllers_start_even_if_the_api_never_answers(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_save(plex)
    monkeypatch.setattr(waits, "API", 0.05)
    plex.kube.unanswered_probes = 10**6
    with pytest.raises(PlexError, match="the API of demo answers"):
        run_restore(plex)
    assert controllers(plex) == ["held", "released"]
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None


def test_the_next_run_brings_a_plex_back_whose_controllers_are_still_held(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_save(plex)

    def killed(_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("plexctl.workflow.snapshots.controllers.Controllers.release", killed)
        with pytest.raises(Killed):
            run_restore(plex)
    assert controllers(plex) == ["held"]
    assert plex.up().changes == ()
    assert controllers(plex)[-1] == "released"
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None


def test_moving_manifests_may_be_repeated(tmp_path: Path) -> None:
    def run(argv: tuple[str, ...]) -> None:
        words = [w.replace("/etc/", f"{tmp_path}/etc/") for w in argv]
        subprocess.run(words, check=True, timeout=20)

    live = tmp_path / "etc/kubernetes/manifests"
    held = tmp_path / "etc/plexctl/manifests"
    live.mkdir(parents=True)
    for name in ("etcd", "kube-scheduler", "kube-controller-manager"):
        (live / f"{name}.yaml").touch()
    run(RELEASE)
    for _ in range(2):
        run(HOLD)
        assert [one.name for one in live.iterdir()] == ["etcd.yaml"]
        assert len(list(held.iterdir())) == 2
    for _ in range(2):
        run(RELEASE)
        assert len(list(live.iterdir())) == 3


def test_nodes_count_as_ready_once_their_kubelets_have_reported_again(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API has the states of a month ago at first."""
    run_save(plex)
    plex.kube.reported = datetime.now(UTC) - timedelta(days=30)
    monkeypatch.setattr(waits, "NODES", 0.05)
    monkeypatch.setattr(waits, "PER_NODE", 0.0)
    with pytest.raises(PlexError, match="waiting until all 3 nodes") as failed:
        run_restore(plex)
    assert "demo1 has not reported since it was started" in failed.value.details[0]
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None, "the disks are of one instant"

    plex.kube.renewed = dict.fromkeys(statuses(plex), datetime.now(UTC) + timedelta(seconds=60))
    run_restore(plex)


def test_a_name_that_exists_is_refused_and_nothing_stands_still(plex: Lab) -> None:
    run_save(plex)
    plex.forget()
    with pytest.raises(UsageError, match="has a snapshot before already"):
        run_save(plex)
    assert not plex.local.names("snapshots.freeze")


@pytest.mark.parametrize("name", ["a/b", "-a", "a-", "A", "a" * 41, "..", "a b"])
def test_a_name_that_hosts_refuse_is_refused_first(plex: Lab, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a snapshot"):
        run_save(plex, name)


@pytest.mark.parametrize("run", [run_save, run_restore])
def test_an_interrupted_restore_of_a_backup_is_not_forgotten(
    plex: Lab, run: Callable[[Lab], None]
) -> None:
    if run is run_restore:
        run_save(plex)
    folder = plex.ctx.plex_folder("demo")
    work = Work(UP_RESTORE, "earlier", "2026-11-30T09:00:00Z", ("demo1",))
    folder.write(FILE, json.dumps(asdict(work)).encode(), 0o600)
    plex.forget()

    with pytest.raises(UsageError, match="a restore of the cluster of demo was interrupted"):
        run(plex)

    assert unfinished_work(folder) == work
    assert {call for call, _ in plex.local.calls + plex.far.calls} <= READS


def test_a_failed_save_thaws_all_nodes_and_leaves_nothing(plex: Lab) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("snapshots.create", "demo2"):
            raise PlexError("no space left on device")

    plex.far.before = before
    with pytest.raises(PlexError, match="no space left"):
        run_save(plex)

    assert set(statuses(plex).values()) == {"Running"}
    assert rows(plex) == ()
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None


def test_nodes_that_cannot_be_frozen_leave_none_frozen(plex: Lab) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("snapshots.freeze", "demo3"):
            raise PlexError("it cannot be frozen")

    plex.local.before = before
    with pytest.raises(PlexError, match="cannot be frozen"):
        run_save(plex)
    assert set(statuses(plex).values()) == {"Running"}
    assert not plex.far.names("snapshots.create")


@pytest.mark.parametrize("call", ["snapshots.freeze", "snapshots.create", "snapshots.thaw"])
@pytest.mark.parametrize("verb", ["up", "destroy", "save", "delete"])
def test_the_next_run_of_any_verb_thaws_what_a_killed_save_left(
    plex: Lab, call: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_save(plex, "first")
    kill_at(plex, call, "demo2", monkeypatch)
    plex.forget()

    match verb:
        case "up":
            plex.up()
        case "destroy":
            destroy(plex.ctx, "demo")
        case "save":
            run_save(plex, "second")
        case "delete":
            delete(plex.ctx, plex.ctx.lab.plexes["demo"], "first")

    assert not [one for one in statuses(plex).values() if one != "Running"]
    left = {"up": ["first"], "destroy": [], "save": ["first", "second"], "delete": []}[verb]
    assert [row.name for row in rows(plex)] == left
    assert not (plex.ctx.access("demo") / FILE).exists()
    thawed = plex.local.names("snapshots.thaw") + plex.far.names("snapshots.thaw")
    assert thawed, "they were thawed by their names, before anything else"


def test_nodes_that_somebody_else_has_paused_stay_paused(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = plex.local.instances.held["demo3"]
    plex.local.instances.held["demo3"] = replace(paused, status="Frozen")
    kill_at(plex, "snapshots.create", "demo2", monkeypatch)
    delete_nothing = pytest.raises(UsageError, match="has no snapshot x")
    with delete_nothing:
        delete(plex.ctx, plex.ctx.lab.plexes["demo"], "x")
    assert statuses(plex) == {"demo1": "Running", "demo2": "Running", "demo3": "Frozen"}


def test_the_status_says_what_thaws_nodes(plex: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_at(plex, "snapshots.create", "demo2", monkeypatch)
    rows = {row.name: row for row in node_rows(plex.ctx, plex.ctx.lab.plexes["demo"])}
    assert rows["demo3"].instance == "Frozen"
    assert rows["demo3"].note == "is paused; `plexctl up` resumes it"


@pytest.mark.parametrize(
    ("call", "node"),
    [
        ("instances.stop", "demo2"),
        ("snapshots.restore", "demo1"),
        ("snapshots.restore", "demo2"),
        ("instances.start", "demo1"),
        ("instances.start", "demo2"),
    ],
)
def test_up_completes_a_killed_restore_before_anything_else(
    plex: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes of two instants are no cluster."""
    run_save(plex)
    write(plex, "new")
    kill_at(plex, call, node, monkeypatch)
    work = unfinished_work(plex.ctx.plex_folder("demo"))
    assert work is not None
    assert (work.verb, work.snapshot) == ("restore", "plex3-before")

    result = plex.up()

    assert contents(plex) == {"old"}
    assert set(statuses(plex).values()) == {"Running"}
    assert result.changes == ()
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None


def test_a_killed_restore_is_not_completed_for_a_plex_that_is_destroyed(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_save(plex)
    kill_at(plex, "snapshots.restore", "demo2", monkeypatch)
    plex.forget()
    destroy(plex.ctx, "demo")
    assert not plex.local.names("snapshots.restore")
    assert statuses(plex) == {}


def test_a_snapshot_without_a_replaced_node_is_listed_as_incomplete_and_refused(
    plex: Lab,
) -> None:
    run_save(plex)
    plex.replace("demo2")
    (row,) = rows(plex)
    assert (row.complete, row.lacking) == (False, ("demo2",))
    plex.forget()
    with pytest.raises(UsageError, match="incomplete: demo2 came later"):
        run_restore(plex)
    assert not plex.local.names("instances.stop")


def test_a_snapshot_of_more_nodes_than_there_are_is_refused(plex: Lab) -> None:
    run_save(plex)
    plex.scale(1)
    (row,) = rows(plex)
    assert (row.complete, row.lacking) == (False, ())
    demo = replace(plex.ctx.lab.plexes["demo"], workers=1)
    with pytest.raises(UsageError, match="had 3 nodes, and those of 1 are gone"):
        restore(plex.ctx, demo, "before")


def test_a_replaced_master_has_taken_all_snapshots_with_it(plex: Lab) -> None:
    run_save(plex)
    result = plex.replace("demo1")
    assert {one.action for one in result.changes} == {Action.REPLACE}
    assert rows(plex) == ()


def test_workers_of_another_cluster_are_refused(plex: Lab) -> None:
    run_save(plex)
    seen, content = plex.far.disks.held["demo2"]["plex3-before"]
    other = replace(seen, tags={**seen.tags, "parent": "another"})
    plex.far.disks.held["demo2"]["plex3-before"] = (other, content)
    with pytest.raises(UsageError, match="demo2 belong to another cluster than demo1"):
        run_restore(plex)


def test_snapshots_of_others_are_neither_listed_nor_deleted(plex: Lab) -> None:
    plex.local.disks.create("demo1", "by-hand")
    run_save(plex)
    assert [row.name for row in rows(plex)] == ["before"]
    delete(plex.ctx, plex.ctx.lab.plexes["demo"], "before")
    assert list(plex.local.disks.held["demo1"]) == ["by-hand"]


def test_a_plex_without_nodes_has_nothing_to_save(lab: Lab) -> None:
    with pytest.raises(UsageError, match="demo has no nodes"):
        run_save(lab)


def test_storage_without_copy_on_write_is_named_beforehand(plex: Lab) -> None:
    demo = plex.ctx.lab.plexes["demo"]
    assert copying_hosts(plex.ctx, demo) == ()
    plex.far.disks.driver = "dir"
    (text,) = copying_hosts(plex.ctx, demo)
    assert text.startswith("pool default of host far has the driver dir, without copy-on-write")


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b'{"verb": 1}', b"null"])
def test_a_damaged_record_of_unfinished_work_is_no_work(lab: Lab, content: bytes) -> None:
    folder = lab.ctx.plex_folder("demo")
    folder.write(FILE, content)
    assert unfinished_work(folder) is None
    lab.up()


def test_work_is_read_as_it_was_written(lab: Lab) -> None:
    from dataclasses import asdict
    from json import dumps

    work = Work("save", "run", "plex3-before", ("demo1", "demo2"))
    folder = lab.ctx.plex_folder("demo")
    folder.write(FILE, dumps(asdict(work)).encode())
    assert unfinished_work(folder) == work
