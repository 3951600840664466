"""`workers` is changed in place; all other bytes of the file stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plexctl.config.edit import add_field, set_workers, with_workers
from plexctl.config.load import load_lab
from plexctl.errors import PlexError, UsageError
from plexctl.model.plex import Plex


def edited(folder: Path, text: str, workers: int) -> str:
    file = folder / "plex.yaml"
    file.write_bytes(text.encode())
    set_workers(folder, file, workers)
    return file.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("workers: 2\n", "workers: 9\n"),
        ("a: 1\nworkers:   2   # two\nb: 'ü'\n", "a: 1\nworkers:   9   # two\nb: 'ü'\n"),
        (
            "# ü workers: 1\n{a: [1], workers: 2, b: 3}",
            "# ü workers: 1\n{a: [1], workers: 9, b: 3}",
        ),
        ("a: 1\r\nworkers: 2\r\n", "a: 1\r\nworkers: 9\r\n"),
        ("workers:  # none yet\na: 1\n", "workers: 9  # none yet\na: 1\n"),
        ('"workers": 2', '"workers": 9'),
        ("a: {workers: 1}\nworkers: 2\n", "a: {workers: 1}\nworkers: 9\n"),
        ("", "workers: 9\n"),
        ("# comment", "# comment\nworkers: 9\n"),
        ("a: 1  # last\n", "a: 1  # last\nworkers: 9\n"),
        ("a: |\n  text\n", "a: |\n  text\nworkers: 9\n"),
        ("a: 1\r\n", "a: 1\r\nworkers: 9\r\n"),
        ("---\n  a: 1\n", "---\n  a: 1\n  workers: 9\n"),
        ("{}\n", "{workers: 9}\n"),
        ("{a: 1}\n", "{workers: 9, a: 1}\n"),
        ("workers: 9  # same\n", "workers: 9  # same\n"),
    ],
)
def test_only_the_number_changes(tmp_path: Path, before: str, after: str) -> None:
    assert edited(tmp_path, before, 9) == after


@pytest.mark.parametrize(
    "text",
    [
        "epoch: &n 2\nworkers: *n\n",  # the anchor's number is another field's too
        "a: 1\n...\n",
        "- workers\n",
        "workers: [2\n",
        "workers: {a: 1}\n",
    ],
)
def test_a_file_that_cannot_be_changed_safely_stays(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlexError) as caught:
        edited(tmp_path, text, 9)
    assert caught.value.hint == "write `workers: 9` into the file yourself"
    assert (tmp_path / "plex.yaml").read_text() == text


def test_the_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("workers: 2\n")
    real.chmod(0o640)
    link = tmp_path / "plex.yaml"
    link.symlink_to(real)
    set_workers(tmp_path, link, 3)
    assert link.is_symlink()
    assert real.read_text() == "workers: 3\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plex.yaml", "real.yaml"]


comments = st.text(st.sampled_from("# workers: 2\nüx"), max_size=20).map(
    lambda text: "".join(f"# {line}\n" for line in text.splitlines())
)


@given(comments, st.integers(0, 99), comments, st.integers(0, 999), st.booleans())
def test_files_of_plain_lines_can_be_changed(
    tmp_path_factory: pytest.TempPathFactory,
    above: str,
    old: int,
    below: str,
    new: int,
    there: bool,
) -> None:
    text = f"{above}epoch: 3\n" + (f"workers: {old}\n" if there else "") + below
    result = edited(tmp_path_factory.mktemp("plex"), text, new)
    line = f"workers: {new}\n"
    assert result == (f"{above}epoch: 3\n{line}{below}" if there else f"{text}{line}")
    assert yaml.safe_load(result) == {"epoch": 3, "workers": new}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# top\na: 1  # last\n", "# top\na: 1  # last\ngitops: {engine: flux}\n"),
        ("a: 1", "a: 1\ngitops: {engine: flux}\n"),
        ("{a: 1}  # flow\n", "{gitops: {engine: flux}, a: 1}  # flow\n"),
        ("", "gitops: {engine: flux}\n"),
        ("a: {gitops: 1}\n", "a: {gitops: 1}\ngitops: {engine: flux}\n"),
        ("gitops: {source: x}  # mine\n", "gitops: {source: x}  # mine\n"),
        ("gitops:\n", "gitops:\n"),
    ],
)
def test_a_missing_field_is_added(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "plex.yaml"
    file.write_text(before)
    assert add_field(tmp_path, file, "gitops", "{engine: flux}") is (before != after)
    assert file.read_text() == after


def test_a_field_is_added_to_mappings_only(tmp_path: Path) -> None:
    file = tmp_path / "plex.yaml"
    file.write_text("- a\n")
    with pytest.raises(PlexError) as caught:
        add_field(tmp_path, file, "gitops", "{engine: flux}")
    assert caught.value.hint == "write `gitops: {engine: flux}` into the file yourself"
    assert file.read_text() == "- a\n"


@pytest.fixture
def demo(tmp_path: Path) -> Plex:
    """A plex with room for four nodes and a group of the first three."""
    folder = tmp_path / "clusters" / "demo"
    folder.mkdir(parents=True)
    (tmp_path / "clusters/hosts.yaml").write_text("hosts: {local: {}}\n")
    (folder / "plex.yaml").write_text(
        "networks: {nodes: 10.1.0.0/28}\ngroups: [{nodes: 2-3, labels: {a: b}}]\n"
    )
    return load_lab(tmp_path, ["1.36.3"]).plexes["demo"]


def test_a_plex_is_scaled_in_the_model(demo: Plex) -> None:
    assert with_workers(demo, 3).size == 4
    assert with_workers(demo, 2) == demo


def test_a_plex_is_not_scaled_beyond_its_networks(demo: Plex) -> None:
    with pytest.raises(UsageError) as caught:
        with_workers(demo, 4)
    assert str(caught.value) == "5 nodes do not fit into the networks of demo: room for 4"
    assert str(caught.value.hint).startswith("5 nodes need a /27 in `networks.nodes`")


def test_an_endless_number_of_workers_is_refused_with_a_limit(demo: Plex) -> None:
    with pytest.raises(UsageError, match="cannot have 1000") as caught:
        with_workers(demo, 10**20)
    assert caught.value.hint == "use at most 4095"


def test_a_plex_is_not_scaled_below_the_nodes_in_its_groups(demo: Plex) -> None:
    with pytest.raises(
        UsageError, match=r"groups\[0\] of demo contains node 3, but with 1 workers"
    ):
        with_workers(demo, 1)
    with pytest.raises(UsageError, match="cannot have -1 workers"):
        with_workers(demo, -1)
