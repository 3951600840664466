"""The keys of every answer, on which programs rely.

A change here breaks somebody's script: raise VERSION, and write it into CHANGELOG.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from plexctl import results
from plexctl.model.command import CommandResult
from plexctl.provision.change import Action
from plexctl.render.json import json_text, yaml_as_json
from plexctl.results.apps import (
    AppRow,
    AppsResult,
    DiffResult,
    FluxKeyResult,
    ObjectDiff,
    PushResult,
    RenderResult,
    RenderRow,
    TokenResult,
)
from plexctl.results.backups import BackupKeyResult, BackupResult, BackupRow, BackupsResult
from plexctl.results.changes import ChangeRow, PlanResult, TofuPlan
from plexctl.results.hosts import (
    HostPreparedResult,
    HostResult,
    HostRow,
    HostsResult,
    PreparedRow,
)
from plexctl.results.images import (
    BakeResult,
    DamagedRow,
    DepotResult,
    DepotRow,
    ImageRow,
    PruneResult,
    VerifyResult,
    VersionRow,
    VersionsResult,
)
from plexctl.results.lab import (
    ImportResult,
    InitResult,
    KubeconfigResult,
    SecretRow,
    SecretsResult,
    TrustResult,
    TrustRow,
    UseResult,
)
from plexctl.results.plex import DestroyResult, EngineResult, LogResult
from plexctl.results.registry import RegistryResult, RegistryRow, RegistryUpResult
from plexctl.results.runs import RunRow, RunsResult
from plexctl.results.snapshots import (
    SnapshotDeleteResult,
    SnapshotExportResult,
    SnapshotImportResult,
    SnapshotRestoreResult,
    SnapshotRow,
    SnapshotSaveResult,
    SnapshotsResult,
)
from plexctl.results.status import ListResult, ListRow, NodeRow, StatusResult
from plexctl.results.up import UpResult
from plexctl.results.upgrade import UpgradePlanResult, UpgradeResult

CHANGED = ChangeRow(Action.CREATE, "instance", "demo1", "local", "missing")
NODE = NodeRow("demo1", "master", "kube", "local", "10.64.3.11", "Running", None, "", "")
PATH = Path("/lab/file")
APPS = AppsResult("demo", True, (AppRow("Kustomization", "web", "ready", "", ""),), ("failure",))
PREPARED = PreparedRow("pool", True, ("task",))

CHANGE_KEYS = "action kind name host reason"
NODE_KEYS = "name role type host address instance ready version note"
APPS_KEYS = "plex healthy objects[kind name state revision message] failures[]"

KEYS: Sequence[tuple[Any, str]] = (
    (
        PlanResult("demo", ("kube",), (CHANGED,), TofuPlan(("create x",), "text"), ("far",)),
        f"plex types_to_bake[] changes[{CHANGE_KEYS}] tofu{{changes[] text}} unreachable[]"
        " unknown[] notes[] loss",
    ),
    (
        UpResult("demo", (CHANGED,), (NODE,), {"nodes": 6.1}, "run", PATH, APPS),
        f"plex changes[{CHANGE_KEYS}] nodes[{NODE_KEYS}] seconds{{nodes}} run kubeconfig"
        f" apps{{{APPS_KEYS}}}",
    ),
    (
        StatusResult("demo", True, "", "", (NODE,), ("far",)),
        f"plex healthy api dns nodes[{NODE_KEYS}] unreachable[] notes[] etcd endpoint",
    ),
    (
        UpgradeResult("demo", "1.35.4", "1.36.3", ("demo1",), (NODE,), {"all": 9.5}, "run", APPS),
        f"plex before kubernetes replaced[] nodes[{NODE_KEYS}] seconds{{all}} run"
        f" apps{{{APPS_KEYS}}}",
    ),
    (UpgradePlanResult("demo", "1.36.3", ("replace demo1",)), "plex kubernetes steps[]"),
    (DestroyResult("demo", (CHANGED,), ("i",)), f"plex deleted[{CHANGE_KEYS}] images[]"),
    (EngineResult("demo", "tofu", True), "plex engine changed"),
    (
        SnapshotsResult("demo", (SnapshotRow("before", "", 9, None, 3, False, ("demo2",)),)),
        "plex snapshots[name created age size nodes complete lacking[]]",
    ),
    (
        SnapshotSaveResult("demo", "before", ("demo1",), {"frozen": 0.2}, "run"),
        "plex snapshot nodes[] seconds{frozen} run",
    ),
    (
        SnapshotRestoreResult("demo", "before", (NODE,), {"all": 3.0}, "run"),
        f"plex snapshot nodes[{NODE_KEYS}] seconds{{all}} run",
    ),
    (
        BackupResult(
            "demo", Path("a.backup"), "2026-11-30T09:00:00+00:00", "1.36.3", 7, {"all": 1.0}, "run"
        ),
        "plex file created kubernetes size seconds{all} run",
    ),
    (
        BackupsResult(
            "demo", "/srv/backups", (BackupRow("a", "2026-11-30T09:00:00+00:00", 1, 2),), False
        ),
        "plex to backups[name created age size] late",
    ),
    (BackupKeyResult("demo", Path("a.age"), True), "plex file changed"),
    (SnapshotDeleteResult("demo", "before", ("demo1",)), "plex snapshot nodes[]"),
    (
        SnapshotExportResult("demo", "before", Path("x"), ("demo1",), 9, {"all": 3.0}, "run"),
        "plex snapshot file nodes[] size seconds{all} run",
    ),
    (
        SnapshotImportResult("demo", "before", (NODE,), {"all": 3.0}, "run"),
        f"plex snapshot nodes[{NODE_KEYS}] seconds{{all}} run",
    ),
    (
        ListResult((ListRow("demo", True, "1.36.3", 3, 3, "10.64.3.0/24"),), ("far",)),
        "plexes[plex current kubernetes nodes running network] unreachable[]",
    ),
    (LogResult("demo1", None, ("line",)), "node unit lines[]"),
    (CommandResult(("ls",), 0, "", ""), "argv[] code stdout stderr"),
    (APPS, APPS_KEYS),
    (
        PushResult("demo", "sha256:0", True, 1.0, APPS),
        f"plex digest changed seconds apps{{{APPS_KEYS}}}",
    ),
    (
        DiffResult("demo", (ObjectDiff("web", "Service web/web", "update", "-a"),), ("failure",)),
        "plex changes[app object action diff] failures[]",
    ),
    (
        RenderResult((RenderRow("web", "web", "1.0.0", PATH, True),)),
        "apps[app chart version file changed]",
    ),
    (FluxKeyResult("demo", "ssh-ed25519 AAAA"), "plex public_key"),
    (TokenResult("demo", PATH, True), "plex file changed"),
    (
        HostsResult((HostRow("far", "incus", "https://10.0.0.7:8443", None, 1, 8, 1 << 30),)),
        "hosts[name kind endpoint unreachable instances cpus memory version note]",
    ),
    (HostResult("far", True, "message"), "name changed message"),
    (
        HostPreparedResult("far", True, (PREPARED,), ("note",), None, "message"),
        "name changed items[name changed tasks[]] notes[] url message",
    ),
    (
        BakeResult((ImageRow("kube", "local", "1.36.3", "plex-kube-0123", True),), ("old",)),
        "images[type host kubernetes name changed] pruned[]",
    ),
    (
        DepotResult(PATH, (DepotRow("runc", "1.4.0", "release", 1, 2, ("note",)),)),
        "folder components[component version source artifacts size notes[]]",
    ),
    (
        VerifyResult(1, (DamagedRow("runc", "1.4.0", "runc", "a", "b"),)),
        "checked damaged[component version name expected found]",
    ),
    (
        VersionsResult("1.36.3", (VersionRow("1.36.3", True, True, "release", True, ("demo",)),)),
        "default versions[version released stored source recorded plexes[]]",
    ),
    (PruneResult(("runc 1.3.0",), 1, ("runc 1.2.0",)), "components[] freed kept[] recordings[]"),
    (
        RegistryResult(
            "registry",
            "10.64.63.2:5000",
            True,
            {},
            (RegistryRow("local", "Running", "answers", 1),),
            ("plexctl/demo",),
        ),
        "registry endpoint healthy upstreams{} hosts[host instance api used] repositories[]",
    ),
    (
        RegistryUpResult("registry", "10.64.63.2:5000", (CHANGED,), "run"),
        f"registry endpoint changes[{CHANGE_KEYS}] run",
    ),
    (InitResult(PATH, "demo", (PATH,), PATH), "root plex written[] key_file"),
    (ImportResult((PATH,), ("demo",)), "written[] unchanged[]"),
    (UseResult("demo"), "plex"),
    (
        TrustResult(PATH, False, True, (TrustRow("pins", "runs", "pins/pins.yaml", "new"),)),
        "root always changed files[part runs file state]",
    ),
    (KubeconfigResult("demo", PATH, "demo-admin@demo", True), "plex file context changed backup"),
    (
        SecretsResult("encrypted", (SecretRow(PATH, True, ("age1",)),), "age1"),
        "action files[file changed others[]] recipient",
    ),
    (
        RunsResult((RunRow("run", "", "up", "demo", "done", 1.0, 3),)),
        "runs[run began verb plex ending seconds nodes]",
    ),
)


def keys(value: Mapping[str, Any]) -> str:
    """Keys in their order, with those of nested objects and of the objects in lists."""
    return " ".join(f"{key}{_nested(one)}" for key, one in value.items())


def _nested(value: object) -> str:
    match value:
        case dict():
            return f"{{{keys(value)}}}"
        case [dict() as first, *_]:
            return f"[{keys(first)}]"
        case list():
            return "[]"
        case _:
            return ""


def test_keys_of_every_answer() -> None:
    found = {type(one).__name__: keys(json.loads(json_text(one))) for one, _ in KEYS}
    assert found == {type(one).__name__: f"version {wanted}" for one, wanted in KEYS}


def test_every_result_is_in_the_list_of_keys() -> None:
    modules = [
        import_module(f"{results.__name__}.{found.name}")
        for found in iter_modules(results.__path__)
    ]
    named = {
        name
        for module in modules
        for name, kind in vars(module).items()
        if name.endswith("Result") and kind.__module__ == module.__name__
    }
    assert named <= {type(one).__name__ for one, _ in KEYS}


def test_values_are_plain() -> None:
    result = UpResult("demo", (CHANGED,), (NODE,), {"nodes": 6.1}, "run", PATH)
    answer = json.loads(json_text(result))
    assert answer["version"] == 1
    assert answer["seconds"] == {"nodes": 6.1}
    assert answer["kubeconfig"] == "/lab/file"
    assert answer["changes"][0]["action"] == "create"
    assert answer["nodes"][0]["ready"] is None


def test_a_kubeconfig_becomes_json() -> None:
    assert json.loads(yaml_as_json("a: {b: [1, x]}")) == {"a": {"b": [1, "x"]}}
