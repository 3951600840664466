"""The first files of a plex with apps that Flux applies."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from plexctl.config.builtin import builtin
from plexctl.config.init import write_first
from plexctl.config.init_gitops import REGISTRY_NETWORK, check_names, write_gitops
from plexctl.config.load import load_lab
from plexctl.errors import UsageError
from plexctl.model.gitops import GitopsEngine, SourceKind
from plexctl.model.lab import Lab

CHECKOUT = Path(__file__).parents[3]


def first(root: Path, plex: str = "demo") -> Lab:
    write_first(root, plex)
    return load_lab(root, ["1.36.3"])


def content(root: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_an_empty_folder_becomes_a_lab_with_flux(tmp_path: Path) -> None:
    written = write_gitops(first(tmp_path), "demo")

    lab = load_lab(tmp_path, ["1.36.3"])
    gitops = lab.plexes["demo"].gitops
    assert gitops is not None
    assert (gitops.engine, gitops.source.kind) == (GitopsEngine.FLUX, SourceKind.REGISTRY)
    assert gitops.path == "clusters/demo"
    assert lab.registry is not None
    assert lab.registry.network == REGISTRY_NETWORK
    assert {str(file.relative_to(tmp_path).parent) for file in written} == {
        "apps/hello-world",
        "clusters",
        "clusters/demo",
        "clusters/demo/infra",
        "clusters/demo/secrets",
        "clusters/omniplex",
        "clusters/omniplex/settings",
    }
    assert set(lab.plexes) == {"demo"}  # the shared base is none


def test_every_named_resource_exists(tmp_path: Path) -> None:
    write_gitops(first(tmp_path), "demo")

    files = list(tmp_path.rglob("kustomization.yaml"))
    assert len(files) == 6
    for file in files:
        fields = yaml.safe_load(file.read_text())
        for name in (*fields.get("resources", ()), *fields.get("components", ())):
            assert (file.parent / name).exists(), f"{name} of {file}"


def test_the_second_run_writes_nothing(tmp_path: Path) -> None:
    lab = first(tmp_path)
    write_gitops(lab, "demo")
    before = content(tmp_path)

    assert write_gitops(load_lab(tmp_path, ["1.36.3"]), "demo") == ()
    assert content(tmp_path) == before


def test_an_existing_lab_keeps_its_files(tmp_path: Path) -> None:
    clusters = tmp_path / "clusters"
    (clusters / "demo").mkdir(parents=True)
    (clusters / "hosts.yaml").write_text("hosts: {mine: {}}  # the only one\n")
    (clusters / "demo" / "plex.yaml").write_text("workers: 1  # small\n# end\n")
    (clusters / "omniplex").mkdir()
    (clusters / "omniplex" / "apps.yaml").write_text("# all mine\n")

    written = write_gitops(load_lab(tmp_path, ["1.36.3"]), "demo")

    assert (clusters / "demo" / "plex.yaml").read_text() == (
        "workers: 1  # small\n# end\ngitops: {engine: flux, source: registry}\n"
    )
    assert (clusters / "hosts.yaml").read_text() == (
        "hosts: {mine: {}}  # the only one\nregistry: {}\n"
    )
    assert (clusters / "omniplex" / "apps.yaml").read_text() == "# all mine\n"
    assert clusters / "omniplex" / "apps.yaml" not in written


def test_a_plex_with_a_source_of_its_own_needs_no_registry(tmp_path: Path) -> None:
    first(tmp_path)
    plex_file = tmp_path / "clusters" / "demo" / "plex.yaml"
    plex_file.write_text("gitops: {source: https://example.org/lab.git}\n")
    hosts = (tmp_path / "clusters" / "hosts.yaml").read_bytes()

    written = write_gitops(load_lab(tmp_path, ["1.36.3"]), "demo")

    assert plex_file not in written
    assert (tmp_path / "clusters" / "hosts.yaml").read_bytes() == hosts


def test_the_registry_avoids_the_network_of_a_plex(tmp_path: Path) -> None:
    first(tmp_path)
    plex_file = tmp_path / "clusters" / "demo" / "plex.yaml"
    plex_file.write_text(f"networks: {{nodes: {REGISTRY_NETWORK}}}\n")

    write_gitops(load_lab(tmp_path, ["1.36.3"]), "demo")

    registry = load_lab(tmp_path, ["1.36.3"]).registry  # which checks for overlaps
    assert registry is not None
    assert registry.network != REGISTRY_NETWORK


def test_further_apps_are_copied_on_demand(tmp_path: Path) -> None:
    write_gitops(first(tmp_path), "demo", ["metallb"])

    assert {folder.name for folder in (tmp_path / "apps").iterdir()} == {"hello-world", "metallb"}
    assert (tmp_path / "apps" / "metallb" / "pool" / "pool.yaml").is_file()


def test_reserved_names_and_unknown_apps_are_rejected(tmp_path: Path) -> None:
    for plex in ("omniplex", "registry"):
        with pytest.raises(UsageError, match=f"'{plex}' cannot be the name"):
            check_names(plex, ())
    with pytest.raises(UsageError, match="there is no app 'hallo'") as caught:
        check_names("demo", ["hallo"])
    assert "hello-world" in str(caught.value.hint)
    check_names("demo", ["hello-world", "metallb"])


def test_a_wheel_contains_the_templates() -> None:
    """The folders that `builtin` uses in a checkout are packed to where it expects them."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for folder in (builtin("apps"), builtin("clusters") / "omniplex"):
        path = str(folder.relative_to(CHECKOUT))
        assert packed[path] == f"plexctl/builtin/{path}"
