"""The modules against the recorded schemas, without any OpenTofu."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest

from plexctl.config.builtin import builtin

from ...provider.wire import recorded

TERRAFORM = Path(__file__).parents[3] / "terraform"
MODULES = sorted((TERRAFORM / "modules").iterdir())
PROVIDERS = {"incus-plex": "incus"}
OWN = {"for_each", "count", "depends_on", "lifecycle", "dynamic", "provider"}


def entries(folder: Path, kind: str) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The labels and the body of every block of a kind in a folder."""
    for file in sorted(folder.glob("*.tf")):
        for entry in hcl2.loads(file.read_text()).get(kind, []):
            labels: tuple[str, ...] = ()
            while not entry.get("__is_block__"):
                ((label, entry),) = entry.items()
                labels = (*labels, label.strip('"'))
            yield labels, entry


def said(body: Mapping[str, Any]) -> set[str]:
    """The names of attributes and blocks in a body, those of `dynamic` too."""
    names = {name for name in body if not name.startswith("__")} - OWN
    return names | {label.strip('"') for one in body.get("dynamic", []) for label in one}


def blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for one in body.get("dynamic", []):
        for label, dynamic in one.items():
            if label != "__is_block__":
                yield label.strip('"'), dynamic["content"][0]


def check(body: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> None:
    attributes = schema.get("attributes", {})
    known = attributes.keys() | schema.get("block_types", {}).keys()
    settable = {
        name for name, one in attributes.items() if one.get("required") or one.get("optional")
    }
    names = said(body)
    assert names <= known, where
    assert names & attributes.keys() <= settable, where
    assert {name for name, one in attributes.items() if one.get("required")} <= names, where
    for name, inner in blocks(body):
        check(inner, schema["block_types"][name]["block"], f"{where}.{name}")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_sets_nothing_that_its_provider_lacks(module: Path) -> None:
    if module.name not in PROVIDERS:
        pytest.skip("its provider has its own tests")
    schemas = recorded(PROVIDERS[module.name])["resource_schemas"]
    seen = set()
    resources = (*entries(module, "resource"), *entries(module / "nodes", "resource"))
    for (kind, name), body in resources:
        if kind in schemas:
            check(body, schemas[kind]["block"], f"{kind}.{name}")
            seen.add(kind)
    assert "incus_instance" in seen


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_every_variable_is_typed_described_and_required(module: Path) -> None:
    for (name,), body in entries(module, "variable"):
        assert {"type", "description"} <= said(body), name
        assert "default" not in body, name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_readme_lists_every_input_and_output(module: Path) -> None:
    text = (module / "README.md").read_text()
    for kind in ("variable", "output"):
        for (name,), _ in entries(module, kind):
            assert f"`{name}`" in text, name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_providers_are_pinned_here_and_configured_by_the_caller(module: Path) -> None:
    ((_, terraform),) = (
        one for one in entries(module, "terraform") if "required_providers" in one[1]
    )
    for provider, pin in terraform["required_providers"][0].items():
        if not provider.startswith("__"):
            assert {name.strip('"') for name in pin} >= {"source", "version"}, provider
    assert not list(entries(module, "provider"))


def test_a_state_contains_no_content_of_a_boot_tar() -> None:
    """A boot tar is passed by its path: its content would stay in the state."""
    for module in MODULES:
        resources = (*entries(module, "resource"), *entries(module / "nodes", "resource"))
        for labels, body in resources:
            for name, inner in blocks(body):
                assert "content" not in inner, (labels, name)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_node_is_written_once(module: Path) -> None:
    """Masters and workers are two calls of one module; only what they wait for differs."""
    calls = {name: body for (name,), body in entries(module, "module")}
    assert {body["source"].strip('"') for body in calls.values()} == {"./nodes"}
    assert set(calls) == {"master", "worker"}
    assert "module.master.instances" in str(calls["worker"]["after"])
    kinds = [kind for (kind, _), _ in entries(module / "nodes", "resource")]
    assert len(kinds) == len(set(kinds))


def test_the_modules_are_found_where_roles_and_types_are() -> None:
    assert (builtin("terraform") / "modules" / "incus-plex" / "main.tf").is_file()
