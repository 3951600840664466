"""The keys that programs rely on. A change here breaks somebody's script: say so in CHANGELOG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plexctl.provision.change import Action
from plexctl.render.json import json_text, yaml_as_json
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
)
from plexctl.results.lab import InitResult, KubeconfigResult, UseResult
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

CHANGED = ChangeRow(Action.CREATE, "instance", "demo1", "local", "missing")
NODE = NodeRow("demo1", "master", "kube", "local", "10.64.3.11", "Running", None, "", "")
PATH = Path("/lab/file")

CHANGE_KEYS = "action kind name host reason"
NODE_KEYS = "name role type host address instance ready version note"

KEYS: dict[Any, str] = {
    PlanResult(
        "demo", ("kube",), (CHANGED,), unreachable=("far",)
    ): f"plex bake[] changes[{CHANGE_KEYS}] tofu unreachable[]",
    StatusResult(
        "demo", True, "", "", (NODE,), ("far",)
    ): f"plex healthy api dns nodes[{NODE_KEYS}] unreachable[]",
    DestroyResult("demo", (CHANGED,), ("i",)): f"plex removed[{CHANGE_KEYS}] images[]",
    ListResult(
        (ListRow("demo", True, "1.36.3", 3, 3, "10.64.3.0/24"),), ("far",)
    ): "plexes[plex current kubernetes nodes running network] unreachable[]",
    HostsResult(
        (HostRow("far", "incus", "https://10.0.0.7:8443", "answers", 1, 8, 1 << 30),)
    ): "hosts[name kind where answer instances cpus memory]",
    HostResult("far", True, "text"): "name changed text",
    HostPreparedResult(
        "far", True, (PreparedRow("pool", True, ("task",)),), ("note",), None, "text"
    ): "name changed items[name changed tasks[]] notes[] url text",
    BakeResult(
        (ImageRow("kube", "local", "1.36.3", "plex-kube-0123", True),), ("old",)
    ): "images[type host kubernetes name changed] pruned[]",
    DepotResult(
        PATH, (DepotRow("runc", "1.4.0", "release", 1, 2, ("note",)),)
    ): "folder components[component version source artifacts size notes[]]",
    VerifyResult(
        1, (DamagedRow("runc", "1.4.0", "runc", "a", "b"),)
    ): "components damaged[component version name expected found]",
    PruneResult(("runc 1.3.0",), 1): "components[] freed",
    InitResult(PATH, "demo", (PATH,), PATH): "root plex written[] key",
    UseResult("demo"): "plex",
    KubeconfigResult("demo", PATH, "demo-admin@demo", True): "plex file context changed",
}


def keys(value: dict[str, Any]) -> str:
    """Keys in their order; those of what is in a list in brackets."""
    return " ".join(
        key
        + (f"[{keys(one[0]) if isinstance(one[0], dict) else ''}]" if isinstance(one, list) else "")
        for key, one in value.items()
    )


def test_keys_of_every_answer() -> None:
    found = {type(result).__name__: keys(json.loads(json_text(result))) for result in KEYS}
    assert found == {type(result).__name__: wanted for result, wanted in KEYS.items()}


def test_up_has_seconds_by_name_and_a_path_as_text() -> None:
    result = UpResult("demo", (CHANGED,), (NODE,), {"nodes": 6.1}, "20260101T000000-up-demo", PATH)
    answer = json.loads(json_text(result))
    assert keys(answer) == (
        f"plex changes[{CHANGE_KEYS}] nodes[{NODE_KEYS}] seconds run kubeconfig apps"
    )
    assert answer["seconds"] == {"nodes": 6.1}
    assert answer["kubeconfig"] == "/lab/file"
    assert answer["changes"][0]["action"] == "create"
    assert answer["nodes"][0]["ready"] is None


def test_a_kubeconfig_becomes_json() -> None:
    assert json.loads(yaml_as_json("a: {b: [1, x]}")) == {"a": {"b": [1, "x"]}}
