"""The text of results: the whole answer of a command, as it is printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.provision.change import Action
from plexctl.render import apps_text, images_text, plex_text, upgrade_text
from plexctl.render.tables import size
from plexctl.results.apps import AppRow, AppsResult, PushResult
from plexctl.results.changes import ChangeRow, PlanResult
from plexctl.results.images import (
    BakeResult,
    DamagedRow,
    ImageRow,
    VerifyResult,
    VersionRow,
    VersionsResult,
)
from plexctl.results.plex import DestroyResult
from plexctl.results.status import ListResult, ListRow, NodeRow, StatusResult
from plexctl.results.up import UpResult
from plexctl.results.upgrade import UpgradePlanResult, UpgradeResult


def lines(*rows: str) -> str:
    return "\n".join(rows)


def changed(action: Action, name: str, reason: str = "", kind: str = "instance") -> ChangeRow:
    return ChangeRow(action, kind, name, "local", reason)


def node(number: int, role: str = "worker") -> NodeRow:
    name, address = f"demo{number}", f"10.64.3.{10 + number}"
    return NodeRow(name, role, "kube", "local", address, "Running", True, "v1.36.3", "")


NODES = (node(1, "master"), node(2))


def test_plan_shows_a_line_for_each_change_and_their_number() -> None:
    changes = (
        changed(Action.UPDATE, "demo-kube", "changed", "profile"),
        changed(Action.REPLACE, "demo2", "its image, files or settings changed"),
        changed(Action.CREATE, "demo3", "missing"),
        changed(Action.DELETE, "demo4", "not wanted any more"),
    )
    assert plex_text.plan(PlanResult("demo", ("kube",), changes)) == lines(
        "bake first: kube",
        "~   update profile demo-kube: changed",
        "-/+ replace instance demo2: its image, files or settings changed",
        "+   create instance demo3",
        "-   delete instance demo4: not wanted any more",
        "demo: 1 to update, 1 to replace, 1 to create, 1 to delete",
    )


def test_plan_shows_hosts_if_changes_concern_several() -> None:
    there = replace(changed(Action.CREATE, "demo1"), host="far")
    assert " on " not in plex_text.plan(PlanResult("demo", (), (there,)))
    both = plex_text.plan(PlanResult("demo", (), (there, changed(Action.CREATE, "demo2"))))
    assert both.splitlines()[:2] == [
        "+ create instance demo1 on far",
        "+ create instance demo2 on local",
    ]


def test_plan_without_changes() -> None:
    assert plex_text.plan(PlanResult("demo", (), ())) == "demo: nothing to do"
    unreachable = ("host far: Incus does not answer: timed out",)
    assert plex_text.plan(PlanResult("demo", (), (), unreachable=unreachable)) == (
        f"demo: nothing to do\n{unreachable[0]}; this plan leaves out the host"
    )


def test_up_shows_nodes_times_and_the_next_commands() -> None:
    seconds = {"api": 4.0, "nodes": 6.08, "dns": 9.81, "all": 10.0}
    made = tuple(changed(Action.CREATE, row.name) for row in NODES)
    network = changed(Action.CREATE, "plex-demo", kind="network")
    kubeconfig = Path("/lab/.plexctl/plexes/demo/kubeconfig")
    result = UpResult("demo", (network, *made), NODES, seconds, "run", kubeconfig)
    assert plex_text.up(result) == lines(
        "NODE   ROLE    STATUS  ADDRESS     VERSION  TYPE  HOST",
        "demo1  master  Ready   10.64.3.11  v1.36.3  kube  local",
        "demo2  worker  Ready   10.64.3.12  v1.36.3  kube  local",
        "",
        "demo: 2 created; 2 nodes Ready after 6.1 s, DNS after 9.8 s",
        "",
        "export KUBECONFIG=/lab/.plexctl/plexes/demo/kubeconfig",
        "plexctl ssh demo2",
        "plexctl status demo",
    )


def test_up_without_changes_shows_its_nodes() -> None:
    result = UpResult("demo", (), NODES, {"nodes": 0.2, "dns": 0.3}, "run", Path("k"))
    assert plex_text.up(result).splitlines()[-1] == (
        "demo: nothing to do; 2 nodes Ready after 0.2 s, DNS after 0.3 s"
    )


def test_up_without_waiting_shows_how_to_see_the_progress() -> None:
    result = UpResult("demo", (changed(Action.CREATE, "demo1"),), (), {"all": 1.0}, "r", Path("k"))
    assert plex_text.up(result) == "demo: 1 created; `plexctl status demo` shows its progress"


def test_status_shows_why_a_plex_is_unhealthy() -> None:
    stopped = replace(node(3), instance="Stopped", ready=False)
    unready = replace(node(2), ready=False, note="kubelet stopped\n posting status")
    result = StatusResult("demo", False, "answers", "available", (NODES[0], unready, stopped))
    assert plex_text.status(result) == lines(
        "NODE   ROLE    STATUS    ADDRESS     VERSION  TYPE  HOST   NOTE",
        "demo1  master  Ready     10.64.3.11  v1.36.3  kube  local",
        "demo2  worker  NotReady  10.64.3.12  v1.36.3  kube  local  kubelet stopped posting status",
        "demo3  worker  Stopped   10.64.3.13  v1.36.3  kube  local",
        "",
        "demo: unhealthy",
        "  API: answers",
        "  DNS: available",
        "  not running: demo3",
        "  not Ready: demo2",
    )


def test_status_and_list_show_unreachable_hosts() -> None:
    unreachable = ("host far: Incus does not answer: timed out",)
    there = replace(node(2), instance="unknown", host="far")  # the cluster has it
    result = StatusResult("demo", False, "answers", "available", (NODES[0], there), unreachable)
    assert plex_text.status(result) == lines(
        "NODE   ROLE    STATUS  ADDRESS     VERSION  TYPE  HOST",
        "demo1  master  Ready   10.64.3.11  v1.36.3  kube  local",
        "demo2  worker  Ready   10.64.3.12  v1.36.3  kube  far",
        "",
        "demo: unhealthy",
        "  API: answers",
        "  DNS: available",
        f"  {unreachable[0]}",
    )
    row = ListRow("demo", False, "1.36.3", 3, 1, "10.64.3.0/24")
    assert plex_text.plexes(ListResult((row,), unreachable)) == lines(
        "PLEX  KUBERNETES  RUNNING  NETWORK",
        "demo  1.36.3      1/3      10.64.3.0/24",
        "",
        unreachable[0],
    )


def test_status_of_a_plex_that_was_not_created() -> None:
    rows = tuple(replace(row, instance="missing", ready=None, version="") for row in NODES)
    result = StatusResult("demo", False, "the master does not run", "unknown", rows)
    assert (
        plex_text.status(result).splitlines()[-1]
        == "demo: not created; `plexctl up demo` creates it"
    )


def test_an_upgrade_says_what_became_of_the_version_and_how_long_the_api_was_away() -> None:
    result = UpgradeResult("demo", "1.35.4", "1.36.3", ("demo1",), (), {"all": 9.46}, "run")
    assert upgrade_text.upgrade(result).splitlines()[-1] == (
        "demo: Kubernetes 1.35.4 to 1.36.3, 1 node replaced after 9.5 s"
    )
    rolled = replace(result, before="1.36.3", seconds={"all": 9.46, "away": 5.21})
    assert upgrade_text.upgrade(rolled).splitlines()[-1] == (
        "demo: 1 node replaced after 9.5 s; the API was away for 5.2 s"
    )
    assert upgrade_text.upgrade(replace(rolled, replaced=())) == (
        "demo: nothing to upgrade; it has Kubernetes 1.36.3"
    )


def test_the_steps_of_an_upgrade_are_numbered() -> None:
    result = UpgradePlanResult("demo", "1.36.3", ("take a snapshot", "replace master demo1"))
    assert upgrade_text.steps(result) == (
        "demo: upgrade to Kubernetes 1.36.3\n1. take a snapshot\n2. replace master demo1"
    )
    assert "nothing to upgrade" in upgrade_text.steps(replace(result, steps=()))


def test_destroy_counts_deleted_objects() -> None:
    gone = [changed(Action.DELETE, f"demo{n}") for n in (1, 2)]
    gone.append(changed(Action.DELETE, "plex-demo", kind="network"))
    result = DestroyResult("demo", tuple(gone), ("plex-kube-0123",))
    assert plex_text.destroy(result) == (
        "demo: deleted 2 instances, 1 network, 1 image (plex-kube-0123)"
    )
    assert plex_text.destroy(DestroyResult("demo", (), ())) == "demo: nothing to delete"


def test_bake_shows_new_and_unchanged_images() -> None:
    rows = (
        ImageRow("kube", "local", "1.36.3", "plex-kube-0123", True),
        ImageRow("adm", "local", "1.36.3", "plex-adm-4567", False),
    )
    assert images_text.bake(BakeResult(rows, ("plex-kube-old",))) == lines(
        "TYPE  KUBERNETES  HOST   IMAGE",
        "kube  1.36.3      local  plex-kube-0123  baked",
        "adm   1.36.3      local  plex-adm-4567   unchanged",
        "deleted plex-kube-old",
    )


def test_verify_shows_damaged_files() -> None:
    damaged = DamagedRow("runc", "1.4.0", "runc", "aa", "bb")
    assert images_text.verify(VerifyResult(5, (damaged,))) == lines(
        "runc of runc 1.4.0: SHA-256 bb, expected aa",
        "deleted; `plexctl depot fill` fetches them again",
    )
    assert images_text.verify(VerifyResult(1, ())) == "1 component: all checksums match"


def test_versions_show_sources_depot_and_plexes() -> None:
    newest = VersionRow("1.36.3", True, True, "gobuild", True, ("demo", "east"))
    older = VersionRow("1.35.4", False, False, "", False, ())
    assert images_text.versions(VersionsResult("1.36.3", (newest, older))) == lines(
        "VERSION  SOURCES         IN DEPOT  PLEXES",
        "1.36.3   release, build  gobuild   demo, east",
        "1.35.4   build           -         -",
        "a plex without `kubernetes` has 1.36.3",
    )


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5120.0 GiB")]
)
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown


def test_push_shows_applied_only_if_everything_is() -> None:
    row = AppRow("Kustomization", "web", "ready", "tree@sha256:0123456789ab", "")
    apps = AppsResult("demo", True, (row,), ())
    healthy = PushResult("demo", "sha256:0123456789ab", True, 1.84, apps)
    assert apps_text.push(healthy).endswith("\n\ndemo: pushed sha256:01234567; applied after 1.8 s")

    waiting = replace(healthy, apps=AppsResult("demo", False, (row,), ("web: no such image",)))
    assert apps_text.push(waiting).endswith(
        "demo: pushed sha256:01234567; not everything is applied yet"
    )
