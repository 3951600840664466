"""What people read: the whole answer of each verb, as it is printed."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import get_args

import pytest

from plexctl import results
from plexctl.provision.change import Action
from plexctl.render.tables import size
from plexctl.render.text import DOMAINS, text
from plexctl.results.apps import AppRow, AppsResult, PushResult
from plexctl.results.images import BakeResult, DamagedRow, ImageRow, VerifyResult
from plexctl.results.plex import (
    ChangeRow,
    DestroyResult,
    ListResult,
    ListRow,
    NodeRow,
    PlanResult,
    StatusResult,
    UpResult,
)


def lines(*rows: str) -> str:
    return "\n".join(rows)


def changed(action: Action, name: str, reason: str = "", kind: str = "instance") -> ChangeRow:
    return ChangeRow(action, kind, name, "local", reason)


def node(number: int, role: str = "worker") -> NodeRow:
    name, address = f"demo{number}", f"10.64.3.{10 + number}"
    return NodeRow(name, role, "kube", "local", address, "Running", True, "v1.36.3", "")


NODES = (node(1, "master"), node(2))


def test_plan_is_one_line_a_change_and_a_sum() -> None:
    changes = (
        changed(Action.UPDATE, "demo-kube", "changed", "profile"),
        changed(Action.REPLACE, "demo2", "its image, files or settings changed"),
        changed(Action.CREATE, "demo3", "missing"),
        changed(Action.DELETE, "demo4", "not wanted any more"),
    )
    assert text(PlanResult("demo", ("kube",), changes)) == lines(
        "bake: kube first",
        "~   update profile demo-kube: changed",
        "-/+ replace instance demo2: its image, files or settings changed",
        "+   create instance demo3",
        "-   delete instance demo4: not wanted any more",
        "demo: 1 to update, 1 to replace, 1 to create, 1 to delete",
    )


def test_plan_names_hosts_only_where_there_are_several() -> None:
    there = replace(changed(Action.CREATE, "demo1"), host="far")
    assert " on " not in text(PlanResult("demo", (), (there,)))
    both = text(PlanResult("demo", (), (there, changed(Action.CREATE, "demo2"))))
    assert both.splitlines()[:2] == [
        "+ create instance demo1 on far",
        "+ create instance demo2 on local",
    ]


def test_plan_without_changes() -> None:
    assert text(PlanResult("demo", (), ())) == "demo: nothing to do"
    unreachable = ("host far: Incus does not answer: timed out",)
    assert text(PlanResult("demo", (), (), unreachable=unreachable)) == (
        f"demo: nothing to do\n{unreachable[0]}; nothing is said of it"
    )


def test_up_ends_with_nodes_times_and_what_to_type_next() -> None:
    seconds = {"api": 4.0, "nodes": 6.08, "dns": 9.81, "all": 10.0}
    made = tuple(changed(Action.CREATE, row.name) for row in NODES)
    network = changed(Action.CREATE, "plex-demo", kind="network")
    kubeconfig = Path("/lab/.plexctl/plexes/demo/kubeconfig")
    result = UpResult("demo", (network, *made), NODES, seconds, "run", kubeconfig)
    assert text(result) == lines(
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


def test_up_that_had_nothing_to_do_ends_with_its_nodes() -> None:
    result = UpResult("demo", (), NODES, {"nodes": 0.2, "dns": 0.3}, "run", Path("k"))
    assert text(result).splitlines()[-1] == (
        "demo: nothing to do; 2 nodes Ready after 0.2 s, DNS after 0.3 s"
    )


def test_up_that_did_not_wait_says_where_to_look() -> None:
    result = UpResult("demo", (changed(Action.CREATE, "demo1"),), (), {"all": 1.0}, "r", Path("k"))
    assert text(result) == "demo: 1 created; `plexctl status demo` shows how far it is"


def test_status_says_what_is_not_well() -> None:
    stopped = replace(node(3), instance="Stopped", ready=False)
    unready = replace(node(2), ready=False, note="kubelet stopped\n posting status")
    result = StatusResult("demo", False, "answers", "answers", (NODES[0], unready, stopped))
    assert text(result) == lines(
        "NODE   ROLE    STATUS    ADDRESS     VERSION  TYPE  HOST   NOTE",
        "demo1  master  Ready     10.64.3.11  v1.36.3  kube  local",
        "demo2  worker  NotReady  10.64.3.12  v1.36.3  kube  local  kubelet stopped posting status",
        "demo3  worker  Stopped   10.64.3.13  v1.36.3  kube  local",
        "",
        "demo: not well",
        "  API: answers",
        "  DNS: answers",
        "  not running: demo3",
        "  not Ready: demo2",
    )


def test_what_a_silent_host_leaves_unknown() -> None:
    unreachable = ("host far: Incus does not answer: timed out",)
    there = replace(node(2), instance="unknown", host="far")  # the cluster knows it
    result = StatusResult("demo", False, "answers", "answers", (NODES[0], there), unreachable)
    assert text(result) == lines(
        "NODE   ROLE    STATUS  ADDRESS     VERSION  TYPE  HOST",
        "demo1  master  Ready   10.64.3.11  v1.36.3  kube  local",
        "demo2  worker  Ready   10.64.3.12  v1.36.3  kube  far",
        "",
        "demo: not well",
        "  API: answers",
        "  DNS: answers",
        f"  {unreachable[0]}",
    )
    row = ListRow("demo", False, "1.36.3", 3, 1, "10.64.3.0/24")
    assert text(ListResult((row,), unreachable)) == lines(
        "PLEX  KUBERNETES  RUNNING  NETWORK",
        "demo  1.36.3      1/3      10.64.3.0/24",
        "",
        unreachable[0],
    )


def test_status_of_a_plex_that_was_never_made() -> None:
    rows = tuple(replace(row, instance="missing", ready=None, version="") for row in NODES)
    result = StatusResult("demo", False, "the master does not run", "unknown", rows)
    assert text(result).splitlines()[-1] == "demo: it is not there; `plexctl up demo` makes it"


def test_destroy_counts_what_went() -> None:
    gone = [changed(Action.DELETE, f"demo{n}") for n in (1, 2)]
    gone.append(changed(Action.DELETE, "plex-demo", kind="network"))
    result = DestroyResult("demo", tuple(gone), ("plex-kube-0123",))
    assert text(result) == ("demo: removed 2 instances, 1 network, 1 image (plex-kube-0123)")
    assert text(DestroyResult("demo", (), ())) == "demo: there was nothing of it"


def test_bake_says_which_images_it_found() -> None:
    rows = (
        ImageRow("kube", "local", "1.36.3", "plex-kube-0123", True),
        ImageRow("adm", "local", "1.36.3", "plex-adm-4567", False),
    )
    assert text(BakeResult(rows, ("plex-kube-old",))) == lines(
        "TYPE  KUBERNETES  HOST   IMAGE",
        "kube  1.36.3      local  plex-kube-0123  baked",
        "adm   1.36.3      local  plex-adm-4567   unchanged",
        "removed plex-kube-old",
    )


def test_verify_names_damaged_files() -> None:
    damaged = DamagedRow("runc", "1.4.0", "runc", "aa", "bb")
    assert text(VerifyResult(5, (damaged,))) == lines(
        "runc of runc 1.4.0: SHA-256 bb, not aa",
        "removed; the next fill gets them anew",
    )
    assert text(VerifyResult(1, ())) == "1 component: every byte is as it was stored"


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5120.0 GiB")]
)
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown


def test_push_says_applied_only_of_what_is() -> None:
    row = AppRow("Kustomization", "web", "ready", "tree@sha256:0123456789ab", "")
    apps = AppsResult("demo", True, (row,), ())
    healthy = PushResult("demo", "sha256:0123456789ab", True, 1.84, apps)
    assert text(healthy).endswith("\n\ndemo: pushed sha256:01234567; applied after 1.8 s")

    unseen = replace(healthy, apps=AppsResult("demo", False, (row,), ("web: no such image",)))
    assert text(unseen).endswith("demo: pushed sha256:01234567; not all of it is applied yet")


def test_every_result_has_words() -> None:
    """Each is loaded by name, so no type checker sees one that was forgotten."""
    modules = {f"{results.__name__}.{found.name}" for found in iter_modules(results.__path__)}

    assert modules == set(DOMAINS)
    for module, words in DOMAINS.items():
        named = {
            kind
            for name, kind in vars(import_module(module)).items()
            if name.endswith("Result") and kind.__module__ == module
        }
        assert set(get_args(import_module(words).Result)) == named
