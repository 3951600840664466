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
def test_a_module_says_nothing_that_its_provider_does_not_have(module: Path) -> None:
    if module.name not in PROVIDERS:
        pytest.skip("its provider has its own tests")
    schemas = recorded(PROVIDERS[module.name])["resource_schemas"]
    seen = set()
    for (kind, name), body in entries(module, "resource"):
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
def test_the_readme_tells_every_input_and_output(module: Path) -> None:
    text = (module / "README.md").read_text()
    for kind in ("variable", "output"):
        for (name,), _ in entries(module, kind):
            assert f"`{name}`" in text, name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_providers_are_pinned_and_configured_by_who_uses_the_module(module: Path) -> None:
    ((_, terraform),) = (
        one for one in entries(module, "terraform") if "required_providers" in one[1]
    )
    for provider, pin in terraform["required_providers"][0].items():
        if not provider.startswith("__"):
            assert {name.strip('"') for name in pin} >= {"source", "version"}, provider
    assert not list(entries(module, "provider"))


def test_no_file_has_what_a_user_must_not_have_in_a_state() -> None:
    """A boot tar goes to a node by its path: its content would stay in the state."""
    for module in MODULES:
        for labels, body in entries(module, "resource"):
            for name, inner in blocks(body):
                assert "content" not in inner, (labels, name)


def test_the_modules_are_found_where_roles_and_types_are() -> None:
    assert (builtin("terraform") / "modules" / "incus-plex" / "main.tf").is_file()
