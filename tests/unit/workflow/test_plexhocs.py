"""Plexes written from a map into a lab, and told as one again."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.plexhocs import Plexhocs
from plexctl.errors import ConfigError, UsageError
from plexctl.workflow.lab.plexhocs import export, import_

HOSTS = """\
hosts:
  omnius: {kind: incus, socket: /nowhere/one}
  second: {kind: incus, socket: /nowhere/two}
"""
FOUND: Plexhocs = {
    "omnius": {"debian12": {"kube": (1, 2)}, "debian12-images": {"kube": (3,), "adm": (4,)}},
    "lab@second": {"debian12": {"kube": (1, 2, 3)}},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/hosts.yaml").write_text(HOSTS)
    return tmp_path


def files(root: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_map_comes_back_from_the_lab_that_was_made_of_it(root: Path) -> None:
    done = import_(root, FOUND, {})
    assert [str(file.relative_to(root)) for file in done.written] == [
        "types/kube-debian12-images.yaml",
        "types/adm-debian12-images.yaml",
        "clusters/omniplex/plex.yaml",
        "clusters/lab/plex.yaml",
    ]
    assert export(root) == FOUND
    before = files(root)
    again = import_(root, export(root), {})
    assert (again.written, set(again.unchanged)) == ((), {"omniplex", "lab"})
    assert files(root) == before


def test_names_of_bases_are_mapped(root: Path) -> None:
    found: Plexhocs = {"omnius": {"u24c": {"kube": (1,)}, "u22c": {"kube": (2,)}}}
    with pytest.raises(UsageError, match="no base u22c, u24c"):
        import_(root, found, {})
    import_(root, found, {"u24c": "debian12", "u22c": "debian12"})
    assert export(root) == {"omnius": {"debian12": {"kube": (1, 2)}}}
    with pytest.raises(UsageError, match="the map has no base u9"):
        import_(root, found, {"u9": "debian12"})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "the map contains no plex"),
        ({"lab@nohost": {"debian12": {"kube": (1,)}}}, "no host nohost"),
        ({"omnius": {"debian12": {"cake": (1,)}}}, "no type cake"),
    ],
)
def test_an_empty_map_or_one_with_unknown_names_is_refused(
    root: Path, found: Plexhocs, said: str
) -> None:
    before = files(root)
    with pytest.raises(UsageError, match=said):
        import_(root, found, {})
    assert files(root) == before


def test_another_plex_of_the_name_is_never_overwritten(root: Path) -> None:
    import_(root, {"omnius": {"debian12": {"kube": (1,)}}}, {})
    before = files(root)
    with pytest.raises(UsageError, match="has other nodes than the map"):
        import_(root, {"omnius": {"debian12": {"kube": (1, 2)}}}, {})
    assert files(root) == before


def test_a_lab_that_could_not_be_read_is_not_written(root: Path) -> None:
    """The master must be a node of Kubernetes."""
    before = files(root)
    with pytest.raises(ConfigError):
        import_(root, {"omnius": {"debian12": {"adm": (1,)}}}, {})
    assert files(root) == before
