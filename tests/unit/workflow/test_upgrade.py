"""Upgrades of a plex on two hosts in memory: done, failed, killed, refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from plexctl.bootstrap.etcd import Etcd
from plexctl.clients.kube.client import Kube, NodeStatus
from plexctl.config.load import load_lab
from plexctl.errors import PlexError, UsageError
from plexctl.model.events import Phased
from plexctl.model.kinds import ProvisionEngine
from plexctl.provision.masters import BORN
from plexctl.results.upgrade import UpgradeResult
from plexctl.workflow.core.phases import unfinished_work
from plexctl.workflow.plex import converge
from plexctl.workflow.plex import plan as planning
from plexctl.workflow.plex.verbs import destroy
from plexctl.workflow.snapshots import restore as restoring
from plexctl.workflow.upgrade import upgrade as upgrading
from plexctl.workflow.upgrade.unfinished import FilesWentBackError
from plexctl.workflow.upgrade.upgrade import UpgradeOptions, upgrade, upgrade_steps
from tests.fake_kube import FakeKube
from tests.unit.workflow import test_converge
from tests.unit.workflow.test_converge import OTHER, Lab
from tests.unit.workflow.test_snapshots import Killed, statuses, write

lab = test_converge.lab

NODES = ("demo1", "demo2", "demo3")
DAEMON_SET = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"


class Cluster(FakeKube):
    """A cluster with the objects that an upgrade reads."""

    version = "v1.36.3"
    metrics = ""
    proxy_configs = ["mode: 'nftables'", 'mode: "nftables"']  # noqa: RUF012 - before, after
    late = ""  # a node that is not Ready
    proxy_image = "registry.k8s.io/kube-proxy:v1.36.3"
    networking: dict[str, str] = {}  # noqa: RUF012 - tests set it on an object

    def nodes(self) -> tuple[NodeStatus, ...]:
        if any(host.names("snapshots.restore") for host in self._hosts.values()):
            self._deleted.clear()  # etcd has the Node objects again
        found = [replace(one, version=self.version) for one in super().nodes()]
        return tuple(
            replace(one, ready=False, message="it starts") if one.name == self.late else one
            for one in found
        )

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        if path == "/version":
            return {"gitVersion": self.version}
        if path.endswith("kubeadm-config"):
            return {"data": {"ClusterConfiguration": f"networking: {self.networking}"}}
        containers = [{"name": "kube-proxy", "image": self.proxy_image}]
        if path == "/api/v1/namespaces/kube-system/pods":
            node = (params or {})["fieldSelector"].removeprefix("spec.nodeName=")
            pod = {"metadata": {"name": f"kube-proxy-{node}"}, "spec": {"containers": containers}}
            return {"items": [pod]}
        if path == DAEMON_SET:
            return {"spec": {"template": {"spec": {"containers": containers}}}}
        if path.endswith("configmaps/kube-proxy"):
            text = self.proxy_configs.pop(0)
            self.proxy_configs.append(text)
            return {"data": {"config.conf": text}, "metadata": {"resourceVersion": "7"}}
        return {}

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        self.calls.append(("patch", path.rpartition("/")[2]))
        return True

    def delete(self, path: str) -> None:
        self.calls.append(("delete", path.rpartition("/")[2]))

    def text(self, path: str) -> str:
        return self.metrics


@pytest.fixture
def plex(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose plex is up, and whose nodes have another image now."""
    lab.kube = Cluster("demo1", {"local": lab.local, "far": lab.far})

    @contextmanager
    def cluster(*_: object, **__: object) -> Iterator[Kube]:
        yield lab.kube

    for module in (converge, restoring, upgrading):
        monkeypatch.setattr(module, "cluster", cluster)
    monkeypatch.setattr(Etcd, "save", lambda _: b"the contents of etcd")
    lab.up()
    write(lab, "old")
    names = {(host, "kube"): OTHER for host in ("local", "far")}
    for host in (lab.local, lab.far):
        host.images.add(OTHER)
    for module in (converge, planning, upgrading):
        monkeypatch.setattr(module, "names_of_images", lambda *_: names)
    lab.forget()
    return lab


@pytest.fixture
def older(plex: Lab) -> Lab:
    """The same with the minor version before the newest one in its file."""
    file(plex).write_text('hosts: [local, far]\nworkers: 2\nkubernetes: "1.35"\n')
    found = load_lab(plex.ctx.lab.root, plex.ctx.pins.versions())
    plex.ctx = replace(plex.ctx, lab=found)
    cluster(plex).version = f"v{found.plexes['demo'].kubernetes}"
    return plex


def cluster(plex: Lab) -> Cluster:
    return cast(Cluster, plex.kube)


def file(plex: Lab) -> Any:
    return plex.ctx.lab.root / "clusters" / "demo" / "plex.yaml"


def run(plex: Lab, **options: Any) -> UpgradeResult:
    return upgrade(plex.ctx, plex.ctx.lab.plexes["demo"], UpgradeOptions(**options))


def images(plex: Lab) -> dict[str, str]:
    """The name of the image of each instance."""
    found: dict[str, str] = {}
    for host in (plex.local, plex.far):
        names = {one.fingerprint: one.names[0] for one in host.images.held}
        found |= {one.name: names[one.image] for one in host.instances.held.values()}
    return found


def snapshots(plex: Lab) -> list[str]:
    hosts = (plex.local, plex.far)
    return [name for host in hosts for held in host.disks.held.values() for name in held]


def is_old(plex: Lab) -> bool:
    """Whether everything is as before the upgrade. Fails if it is neither old nor new."""
    assert statuses(plex) == dict.fromkeys(NODES, "Running")
    assert snapshots(plex) == []
    assert unfinished_work(plex.ctx.plex_folder("demo")) is None
    (image,) = set(images(plex).values())
    contents = [host.disks.content.get(node) for host in (plex.local, plex.far) for node in NODES]
    if image == OTHER:
        return False
    assert sorted(filter(None, contents)) == ["old"] * 3
    return True


def test_all_nodes_are_replaced_masters_first_and_the_cluster_stays(plex: Lab) -> None:
    tags = {one.name: one.tags for one in plex.local.instances.held.values()}
    began = tags["demo1"]["run"]
    order: list[tuple[str, str]] = []
    for host in (plex.local, plex.far):
        host.before = lambda call, name: order.append((call, name))

    result = run(plex)

    assert result.replaced == NODES
    assert not is_old(plex)
    assert [name for call, name in order if call == "keeper.keep"] == list(NODES)
    found = [call for call, name in order if name == "demo1" and "list" not in call]
    assert found.index("snapshots.create") < found.index("keeper.keep")
    assert found.index("keeper.keep") < found.index("instances.create")
    held = {**plex.local.instances.held, **plex.far.instances.held}
    assert held["demo1"].tags[BORN] == began
    assert {held[name].tags["parent"] for name in ("demo2", "demo3")} == {began}
    assert [one for one in plex.kube.calls if one[0] == "delete_node"] == [
        ("delete_node", "demo2"),
        ("delete_node", "demo3"),
    ]
    plex.forget()
    assert plex.up().changes == ()


def test_the_journal_has_the_phases(plex: Lab) -> None:
    run(plex)
    done = [one.phase for one in plex.events if isinstance(one, Phased) and one.state == "done"]
    assert done == [
        *("sync", "freeze", "snapshot", "thaw"),
        *("masters", "kubeadm", "workers demo2", "workers demo3", "kube-proxy", "cleanup"),
    ]


def test_workers_are_replaced_at_once_as_wanted(plex: Lab) -> None:
    run(plex, parallel=2)
    assert "replace demo2, demo3" in plex.steps


def test_kubeadm_runs_on_the_new_master(plex: Lab) -> None:
    run(plex)
    scripts = [one for one in plex.local.instances.scripts if "kubeadm init" in one]
    phases = [one.partition("phase ")[2].partition(" --config")[0] for one in scripts]
    assert phases == ["upload-config all", "addon coredns", "bootstrap-token", "addon kube-proxy"]
    assert all(one.endswith(">/dev/null") for one in scripts), "the output has a token"


@pytest.mark.parametrize(("after", "restarts"), [("mode: nftables\n", 0), ("mode: ipvs", 1)])
def test_kube_proxy_starts_again_only_if_its_settings_differ(
    plex: Lab, after: str, restarts: int
) -> None:
    """kubeadm writes the same settings in other quotes."""
    cluster(plex).proxy_configs = ["mode: 'nftables'", after, after]
    run(plex)
    assert plex.kube.calls.count(("patch", "kube-proxy")) == restarts


def test_only_what_has_changed_is_replaced(plex: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run(plex)
    plex.forget()
    result = run(plex)
    assert result.replaced == ()
    assert not plex.local.names("keeper.keep")
    assert is_old(plex) is False


def test_a_version_is_written_into_the_file(older: Lab) -> None:
    newest = older.ctx.pins.versions()[0]
    old = older.ctx.lab.plexes["demo"].kubernetes
    minor = newest.rpartition(".")[0]

    result = run(older, to=minor)

    assert (result.before, result.kubernetes) == (old, newest)
    assert file(older).read_text() == (f'hosts: [local, far]\nworkers: 2\nkubernetes: "{minor}"\n')


def test_kube_proxy_of_old_nodes_stays_until_they_are_replaced(older: Lab) -> None:
    cluster(older).proxy_image = "registry.k8s.io/kube-proxy:v1.35.0"
    run(older, to=older.ctx.pins.versions()[0])
    calls = [one for one in older.kube.calls if one[0] in ("patch", "delete", "delete_node")]
    assert calls[:2] == [("patch", "kube-proxy"), ("delete", "kube-proxy-demo1")]
    assert calls.index(("delete", "kube-proxy-demo1")) < calls.index(("delete_node", "demo2"))


@pytest.mark.parametrize(
    ("call", "node"),
    [
        ("keeper.keep", "demo1"),
        ("keeper.rename", "demo1"),
        ("instances.create", "demo1"),
        ("instances.start", "demo1"),
        ("keeper.keep", "demo3"),
        ("instances.push", "demo3"),
        ("instances.start", "demo2"),
    ],
)
def test_a_failure_brings_everything_back(older: Lab, call: str, node: str) -> None:
    before = file(older).read_text()
    failed: list[str] = []

    def fail(made: str, name: str) -> None:
        if (made, name) == (call, node) and not failed:
            failed.append(name)
            raise PlexError("no space left on device")

    for host in (older.local, older.far):
        host.before = fail
    with pytest.raises(PlexError, match="everything is as before: no space left"):
        run(older, to=older.ctx.pins.versions()[0])

    assert is_old(older)
    assert file(older).read_text() == before


def test_a_node_that_never_becomes_ready_brings_everything_back(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plexctl.bootstrap.wait.NODES", 0.05)
    monkeypatch.setattr("plexctl.bootstrap.wait.PER_NODE", 0.0)

    def before(call: str, name: str) -> None:
        if (call, name) == ("keeper.keep", "demo3"):
            cluster(plex).late = "demo3"
        if call == "keeper.bring_back":
            cluster(plex).late = ""

    plex.local.before = before
    with pytest.raises(PlexError, match="everything is as before: timed out") as failed:
        run(plex)
    assert "demo3: it starts" in failed.value.details[0]
    assert is_old(plex)


def test_old_nodes_that_are_not_ready_in_time_are_old_nodes(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollback is complete once all disks are as before: the next run need not repeat it."""
    monkeypatch.setattr("plexctl.bootstrap.wait.NODES", 0.05)
    monkeypatch.setattr("plexctl.bootstrap.wait.PER_NODE", 0.0)

    def before(call: str, name: str) -> None:
        if (call, name) == ("instances.create", "demo1"):
            raise PlexError("no space left on device")
        if call == "keeper.bring_back":
            cluster(plex).late = "demo2"

    plex.local.before = before
    with pytest.raises(PlexError, match="its nodes are as before, but timed out") as failed:
        run(plex)
    assert "no space left on device" in failed.value.details[-1]
    assert is_old(plex)


def test_a_failure_before_the_first_node_leaves_only_the_message(plex: Lab) -> None:
    def before(call: str, name: str) -> None:
        if (call, name) == ("snapshots.create", "demo2"):
            raise PlexError("no space left on device")

    plex.far.before = before
    with pytest.raises(PlexError, match=r"^no space left"):
        run(plex)
    assert is_old(plex)
    assert not plex.local.names("instances.stop")


def test_a_failed_upgrade_stays_as_it_is_on_request_until_the_next_run(plex: Lab) -> None:
    failing = [True]

    def before(call: str, name: str) -> None:
        if (call, name) == ("instances.create", "demo3") and failing:
            raise PlexError("no space left on device")

    plex.local.before = before
    with pytest.raises(PlexError, match="the upgrade of demo failed: no space left") as failed:
        run(plex, rollback=False)
    assert "undoes it first" in (failed.value.hint or "")
    assert statuses(plex)["demo3-before"] == "Stopped"
    with pytest.raises(PlexError, match="neither complete nor undone"):
        test_converge.planned(plex)

    failing.clear()
    assert run(plex).replaced == NODES
    assert not is_old(plex)


CALLS = [
    ("snapshots.freeze", "demo2"),
    ("snapshots.create", "demo2"),
    ("snapshots.thaw", "demo1"),
    ("keeper.keep", "demo1"),
    ("keeper.rename", "demo1"),
    ("instances.create", "demo1"),
    ("instances.start", "demo1"),
    ("keeper.rename", "demo2"),
    ("instances.create", "demo3"),
    ("instances.start", "demo3"),
]


def kill_at(
    plex: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> None:
    """Let the process end at a call: it undoes nothing itself."""
    gone: list[str] = []

    def before(made: str, name: str) -> None:
        if gone or (made, name) == (call, node):
            gone.append(made)
            raise Killed

    for host in (plex.local, plex.far):
        host.before = before
    with monkeypatch.context() as patch:
        patch.setattr(upgrading._Upgrade, "_failed", lambda *_: None)
        with pytest.raises(Killed):
            run(plex, **options)
    for host in (plex.local, plex.far):
        host.before = lambda call, name: None


@pytest.mark.parametrize(("call", "node"), CALLS)
def test_the_next_run_undoes_a_killed_upgrade(
    plex: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(plex, call, node, monkeypatch)
    with pytest.raises(UsageError, match="refusing to replace a cluster without -y"):
        plex.up()  # its files still want other nodes
    assert is_old(plex)
    assert any("was interrupted: it is undone" in note for note in plex.notes)


@pytest.mark.parametrize(("call", "node"), [CALLS[1], CALLS[5], CALLS[9]])
def test_the_next_run_puts_the_version_back_and_says_so(
    older: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file(older).read_text()
    newest = older.ctx.pins.versions()[0]
    kill_at(older, call, node, monkeypatch, to=newest)
    assert newest in file(older).read_text()
    older.ctx = replace(older.ctx, lab=load_lab(older.ctx.lab.root, older.ctx.pins.versions()))

    with pytest.raises(FilesWentBackError, match="has the version 1"):
        older.up()
    assert file(older).read_text() == before
    assert is_old(older)


def test_an_upgrade_after_a_killed_one_begins_again(
    older: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = older.ctx.pins.versions()[0]
    kill_at(older, "instances.create", "demo3", monkeypatch, to=newest)
    older.ctx = replace(older.ctx, lab=load_lab(older.ctx.lab.root, older.ctx.pins.versions()))
    assert run(older, to=newest).kubernetes == newest
    assert not is_old(older)


def test_a_killed_rollback_is_repeated(plex: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_at(plex, "instances.create", "demo3", monkeypatch)
    gone: list[str] = []

    def before(made: str, name: str) -> None:
        if gone or (made, name) == ("snapshots.restore", "demo2"):
            gone.append(made)
            raise Killed

    for host in (plex.local, plex.far):
        host.before = before
    with pytest.raises(Killed):
        plex.up()
    for host in (plex.local, plex.far):
        host.before = lambda call, name: None
    with pytest.raises(UsageError, match="without -y"):
        plex.up()
    assert is_old(plex)


def test_only_the_rest_is_deleted_if_all_nodes_were_new(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(plex, "instances.delete", "demo1-before", monkeypatch)
    assert plex.up().changes == ()
    assert not is_old(plex)
    assert any("all nodes are new" in note for note in plex.notes)


@pytest.mark.parametrize(("call", "node"), [CALLS[1], CALLS[7]])
def test_a_killed_upgrade_is_destroyed_with_its_plex(
    older: Lab, call: str, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file(older).read_text()
    kill_at(older, call, node, monkeypatch, to=older.ctx.pins.versions()[0])
    destroy(older.ctx, "demo")
    assert statuses(older) == {}
    assert file(older).read_text() == before


def test_an_upgrade_of_another_machine_is_not_touched(
    plex: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lab has no record of it here; the kept nodes are the only ones with the state."""
    kill_at(plex, "instances.create", "demo1", monkeypatch)
    plex.ctx.plex_folder("demo").delete("unfinished.json")
    with pytest.raises(PlexError, match="neither complete nor undone") as refused:
        plex.up()
    assert refused.value.details[0].startswith("instance demo1-before on host local")
    assert "demo1-before" in statuses(plex)


def test_what_cannot_be_upgraded_is_refused_and_nothing_changes(older: Lab) -> None:
    demo = older.ctx.lab.plexes["demo"]
    kube = cluster(older)
    newest = older.ctx.pins.versions()[0]

    def refused(match: str, plex: Any = demo, **options: Any) -> UsageError:
        with pytest.raises(UsageError, match=match) as found:
            upgrade(older.ctx, plex, UpgradeOptions(**options))
        return found.value

    refused("does not support Kubernetes '1.99'", to="1.99")
    kube.version = "v1.37.0"
    refused(r"from Kubernetes v1\.37\.0 back to", to=newest)
    kube.version = "v1.34.1"
    assert "--to 1.35" in (refused("one minor version at a time", to=newest).hint or "")
    kube.version = f"v{demo.kubernetes}"
    refused("other nodes than its hosts", replace(demo, workers=3))
    refused("no plex of OpenTofu", replace(demo, engine=ProvisionEngine.TOFU))
    kube.late = "demo2"
    assert refused("nodes are not Ready").details == ("demo2: it starts",)
    kube.late = ""
    kube.networking = {"podSubnet": "10.1.0.0/16"}
    refused("cannot change its networks")
    kube.networking = {}
    kube.metrics = (
        'apiserver_requested_deprecated_apis{group="batch",removed_release="1.36",'
        'resource="jobs",subresource="",version="v1beta1"} 1\n'
    )
    assert refused("clients have used APIs", to=newest).details == (
        "jobs of batch/v1beta1: removed in 1.36",
    )
    held = older.far.instances.held
    held["demo2"] = replace(held["demo2"], status="Stopped")
    refused("demo2 do not run")
    assert not older.local.names("snapshots.create")
    assert not older.local.names("keeper.keep")
    assert unfinished_work(older.ctx.plex_folder("demo")) is None


def test_steps_are_listed_beforehand(plex: Lab) -> None:
    demo = plex.ctx.lab.plexes["demo"]
    states = plex.ctx.engine.read(plex.ctx.hosts)
    result = upgrade_steps(plex.ctx, demo, states, UpgradeOptions())
    assert result.steps == (
        "take a snapshot of all 3 nodes",
        "replace master demo1, with the state of etcd; the API is away for some seconds",
        "upload kubeadm's configuration, and upgrade CoreDNS",
        "drain and replace demo2",
        "drain and replace demo3",
        "upgrade kube-proxy",
        "wait until all nodes are Ready and DNS answers",
        "delete the old demo1, demo2, demo3 and the snapshot",
    )
    run(plex)
    states = plex.ctx.engine.read(plex.ctx.hosts)
    assert upgrade_steps(plex.ctx, demo, states, UpgradeOptions()).steps == ()
