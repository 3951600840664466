"""A user's mistake gives one clear message, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import Lab, eventually, objects


@pytest.fixture
def own(lab: Lab, tmp_path: Path) -> Lab:
    """A lab of its own, with the plex `wrong`, which is never up."""
    (tmp_path / "clusters").mkdir()
    own = Lab(tmp_path, lab.home)
    own.run("init", "wrong")
    return own


def test_all_faults_of_the_files_are_reported_at_once(own: Lab) -> None:
    before = objects("wrong")
    file = own.root / "clusters" / "wrong" / "plex.yaml"
    file.write_text("wokers: 2\nkubernetes: 1.36\ngroups:\n  - {nodes: 9, type: cube}\n")

    answer = own.run("up", "wrong", code=2)

    assert "plex.yaml:1: wokers: unknown field" in answer.err
    assert "workers" in answer.err
    assert "plex.yaml:4:" in answer.err
    assert "kube" in answer.err
    assert "Traceback" not in answer.err
    assert objects("wrong") == before


def test_a_host_that_does_not_answer_is_known_before_anything_is_built(own: Lab) -> None:
    hosts = own.root / "clusters" / "hosts.yaml"
    hosts.write_text("hosts:\n  local: {kind: incus, socket: /nowhere/unix.socket}\n")

    answer = own.run("up", "wrong", code=1)

    assert "/nowhere/unix.socket" in answer.err
    assert "hint:" in answer.err
    assert "Traceback" not in answer.err


def test_a_name_that_another_lab_has_is_refused_with_whose_it_is(own: Lab, lifecycle: Lab) -> None:
    before = objects("lifecycle")
    own.run("init", "lifecycle")

    answer = own.run("up", "lifecycle", code=1)

    assert "instance lifecycle1 on host local belongs to plex lifecycle of lab" in answer.err
    assert objects("lifecycle") == before


def test_networks_of_another_plex_are_refused_before_anything_is_created(
    own: Lab, lifecycle: Lab
) -> None:
    taken = lifecycle.ask("list")["plexes"][0]["network"]
    file = own.root / "clusters" / "wrong" / "plex.yaml"
    pods, services = "10.250.0.0/16", "10.111.0.0/20"
    networks = f"networks: {{nodes: {taken}, pods: {pods}, services: {services}}}"
    file.write_text(f"workers: 1\n{networks}\n")
    before = objects("wrong")

    for verb in ("plan", "up"):
        answer = own.run(verb, "wrong", code=2)
        assert f"nodes {taken}: network plex-lifecycle (plex lifecycle)" in answer.err
        assert "these are free: write `networks: {nodes: 10.64." in answer.err
    assert objects("wrong") == before


def test_commands_that_destroy_objects_ask_first(own: Lab) -> None:
    assert "-y" in own.run("destroy", "wrong", code=2).err
    assert "-y" in own.run("replace", "master", code=2).err


def test_an_unknown_node_or_plex_names_those_there_are(own: Lab) -> None:
    assert "wrong1" in own.run("replace", "wrong7", "-y", code=2).err
    assert "wrong" in own.run("up", "other", code=2).err


def test_two_runs_on_one_plex_do_not_meet(own: Lab, lifecycle: Lab) -> None:
    first = lifecycle.start("replace", "lifecycle3", "--plex", "lifecycle")
    try:
        runs = lifecycle.root / ".plexctl" / "runs"
        eventually("it has begun", lambda: bool(list(runs.glob("*-replace-lifecycle.jsonl"))))
        answer = lifecycle.run("up", "lifecycle", code=1)
        assert "another plexctl is working on lifecycle" in answer.err
    finally:
        first.communicate(timeout=300)
    assert first.returncode == 0
