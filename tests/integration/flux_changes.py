"""Changes of a tree that are hard to foretell, and what they change in a cluster."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from plexctl.bootstrap.flux import REQUESTED

from .support import Cluster

OWNED = "kustomize.toolkit.fluxcd.io/name"
KINDS = "namespaces,configmaps,secrets,services,deployments.apps,clusterroles,kustomizations"
SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")

BEFORE = {
    "stays": {"stays.yaml": "{name: stays, namespace: default}\ndata: {colour: red}"},
    "goes": {"goes.yaml": "{name: goes, namespace: default}\ndata: {colour: red}"},
    "kept": {
        "kept.yaml": "{name: kept, namespace: default, annotations:"
        " {kustomize.toolkit.fluxcd.io/prune: disabled}}\ndata: {colour: red}",
        "once.yaml": "{name: once, namespace: default, annotations:"
        " {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}}\ndata: {colour: red}",
    },
    "moves": {"moves.yaml": "{name: moves, namespace: default}\ndata: {colour: red}"},
}
"""The ConfigMaps of apps, by the name of their file."""

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'diffed:reader'}
rules: [{apiGroups: [''], resources: [pods], verbs: [VERB]}]
"""
PATCH = '\'[{"op": "replace", "path": "/data/colour", "value": "blue"}]\''


class ChangingTree:
    """Four apps below `apps/diffed-*` of a plex. `prefix` is common to all their names."""

    prefix = "diffed-"

    def __init__(self, root: Path, plex: str) -> None:
        self.root, self.own = root, root / "clusters" / plex

    def write_before(self) -> None:
        for app, files in BEFORE.items():
            for file, text in files.items():
                self._write(app, file, f"apiVersion: v1\nkind: ConfigMap\nmetadata: {text}\n")
            self._kustomization(app)
        self._write("stays", "role.yaml", ROLE.replace("VERB", "get"))
        self._list(BEFORE)

    def write_after(self) -> dict[str, str]:
        """Change the tree. Returns the change of each object: "create", "update" or "delete"."""
        shutil.rmtree(self.root / "apps" / f"{self.prefix}goes")
        (self.own / f"{self.prefix}goes.yaml").unlink()
        for name in ("kept", "once"):
            file = self.root / "apps" / f"{self.prefix}kept" / f"{name}.yaml"
            file.write_text(file.read_text().replace("red", "blue"))
        (self.root / "apps" / f"{self.prefix}kept" / "kept.yaml").unlink()
        folder = self.root / "apps" / f"{self.prefix}moves"
        shutil.move(folder / "moves.yaml", self.root / "apps" / f"{self.prefix}stays")
        self._write(
            "moves",
            "new.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: default}\n"
            "data: {sign: '=', date: '2026-11-29', name: '${PLEX_NAME^^}',"
            " absent: '${ABSENT:=x}'}\n",
        )
        self._write("stays", "role.yaml", ROLE.replace("VERB", "list"))
        target = "{kind: ConfigMap, name: stays}"
        self._kustomization("stays", f"patches: [{{patch: {PATCH}, target: {target}}}]")
        self._list(name for name in BEFORE if name != "goes")
        return {
            "ConfigMap default/stays": "update",
            "ConfigMap default/goes": "delete",
            "ConfigMap default/moves": "update",
            "ConfigMap default/new": "create",
            "ClusterRole diffed:reader": "update",
            f"Kustomization flux-system/{self.prefix}goes": "delete",
            f"Kustomization flux-system/{self.prefix}stays": "update",
        }

    def remove(self) -> None:
        for app in BEFORE:
            shutil.rmtree(self.root / "apps" / f"{self.prefix}{app}", ignore_errors=True)
            (self.own / f"{self.prefix}{app}.yaml").unlink(missing_ok=True)
        self._list(())

    def _write(self, app: str, file: str, text: str) -> None:
        folder = self.root / "apps" / f"{self.prefix}{app}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)

    def _kustomization(self, app: str, more: str = "") -> None:
        (self.own / f"{self.prefix}{app}.yaml").write_text(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
            f"metadata: {{name: {self.prefix}{app}, namespace: flux-system}}\n"
            f"spec:\n  path: ./apps/{self.prefix}{app}\n" + (f"  {more}\n" if more else "")
        )

    def _list(self, apps: Any) -> None:
        file = self.own / "kustomization.yaml"
        lines = [line for line in file.read_text().splitlines() if self.prefix not in line]
        place = lines.index("resources:") + 1
        lines[place:place] = [f"  - {self.prefix}{app}.yaml" for app in apps]
        file.write_text("\n".join(lines) + "\n")


def owned(cluster: Cluster) -> dict[str, Any]:
    """The objects that Flux has applied, without what the server and pushes add to them."""
    found = {}
    for one in cluster.get(KINDS, "-A", "-l", OWNED)["items"]:
        metadata = one["metadata"]
        space = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        kept = {key: value for key, value in metadata.items() if key not in SERVER_FIELDS}
        # A push requests a reconciliation of what is slow to react; no tree has that.
        annotations = {k: v for k, v in kept.pop("annotations", {}).items() if k != REQUESTED}
        kept |= {"annotations": annotations} if annotations else {}
        document = {key: value for key, value in one.items() if key != "status"}
        found[f"{one['kind']} {space}{metadata['name']}"] = {**document, "metadata": kept}
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """The objects that differ: "create", "update" or "delete" by kind and name."""
    found = dict.fromkeys(after.keys() - before.keys(), "create")
    found |= dict.fromkeys(before.keys() - after.keys(), "delete")
    both = before.keys() & after.keys()
    return found | {name: "update" for name in both if before[name] != after[name]}
