"""The files of apps: every version is exact, and every app is in the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import documents

CHECKOUT = Path(__file__).parents[3]
FOLDERS = sorted(folder for folder in (CHECKOUT / "apps").iterdir() if folder.is_dir())
VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?")


def values(item: Any, key: str) -> Iterator[Any]:
    """All values of `key`, at any depth."""
    if isinstance(item, dict):
        for name, value in item.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(item, list):
        for part in item:
            yield from values(part, key)


def manifests(folder: Path) -> list[Any]:
    return [
        item
        for item in documents(*sorted(folder.rglob("*.yaml")))
        if item["kind"] != "CustomResourceDefinition"
    ]


def unpinned(items: list[Any]) -> list[str]:
    """Images, charts and sources without an exact version."""
    found = []
    for image in values(items, "image"):
        if not VERSION.fullmatch(image.partition("@")[0].rpartition(":")[2]):
            found.append(image)
    for item in items:
        spec = item.get("spec", {})
        if item["kind"] in ("OCIRepository", "GitRepository"):
            reference = spec["ref"]
            if not VERSION.fullmatch(reference.get("tag", "")) or set(reference) & {
                "semver",
                "branch",
            }:
                found.append(f"{item['kind']} {item['metadata']['name']}")
        if item["kind"] == "HelmRelease" and "chart" in spec:
            chart = spec["chart"]["spec"]
            from_git = chart["sourceRef"]["kind"] == "GitRepository"  # pinned there
            if not from_git and not VERSION.fullmatch(chart.get("version", "")):
                found.append(f"HelmRelease {item['metadata']['name']}")
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_version_is_exact(folder: Path) -> None:
    assert unpinned(manifests(folder)) == []


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "Pod", "spec": {"containers": [{"image": "example.org/app:latest"}]}},
        {"kind": "Pod", "spec": {"containers": [{"image": "example.org:5000/app"}]}},
        {"kind": "OCIRepository", "metadata": {"name": "a"}, "spec": {"ref": {"semver": "1.x"}}},
        {
            "kind": "HelmRelease",
            "metadata": {"name": "a"},
            "spec": {
                "chart": {"spec": {"version": "1.*", "sourceRef": {"kind": "HelmRepository"}}}
            },
        },
    ],
)
def test_a_version_that_is_not_exact_is_found(item: Any) -> None:
    assert len(unpinned([item])) == 1


def test_every_app_is_in_the_table() -> None:
    table = (CHECKOUT / "apps" / "README.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == [f.name for f in FOLDERS]


def test_every_app_can_be_built_by_itself() -> None:
    for folder in FOLDERS:
        assert (folder / "kustomization.yaml").is_file(), folder


def test_apps_from_charts_are_marked_in_the_table() -> None:
    table = (CHECKOUT / "apps" / "README.md").read_text()
    for folder in FOLDERS:
        if any(item["kind"] == "HelmRelease" for item in manifests(folder)):
            row = re.search(rf"^\| `{folder.name}` \|.*$", table, re.MULTILINE)
            assert row is not None
            assert "charts; " in row[0]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_app_has_a_config_for_argo_cd(folder: Path) -> None:
    (config,) = documents(folder / "config.yml")

    assert config.keys() - {"patches"} == {"name", "namespace", "path", "plexes"}
    assert (config["name"], config["path"]) == (folder.name, f"apps/{folder.name}")
    items = [item for item in manifests(folder) if "metadata" in item]
    spaces = {item["metadata"].get("namespace") for item in items}
    spaces |= {item["metadata"]["name"] for item in items if item["kind"] == "Namespace"}
    kustomization = next(documents(folder / "kustomization.yaml"))
    assert config["namespace"] in spaces | {kustomization.get("namespace")}
    charts = any(item["kind"] == "HelmRelease" for item in items)
    assert not (charts and config["plexes"]), "nothing but Flux renders its chart"
