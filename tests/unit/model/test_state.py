"""The state folder of a lab is one that plexctl created for this user."""

from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plexctl.errors import ExitCode, UsageError
from plexctl.model.state import TOKEN, find_state, state_folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "lab" / ".plexctl"


def test_it_is_created_private_once_and_git_ignores_it(state: Path, state_home: Path) -> None:
    assert find_state(state) is None
    before = os.umask(0)
    try:
        folder = state_folder(state)
    finally:
        os.umask(before)
    assert folder.path == state
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / ".gitignore").read_text() == "*\n"
    assert [file.name for file in state.parent.iterdir()] == [".plexctl"]
    (record,) = (state_home / "plexctl" / "labs").iterdir()
    assert record.name == (state / TOKEN).read_text()
    assert record.read_text() == f"{state.parent}\n"
    for parent in (record.parent, record.parents[1]):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700

    assert state_folder(state) == find_state(state)
    assert len(list(record.parent.iterdir())) == 1


def refusal(state: Path) -> UsageError:
    before = sorted(state.rglob("*"))
    with pytest.raises(UsageError) as error:
        state_folder(state)
    with pytest.raises(UsageError):
        find_state(state)
    assert sorted(state.rglob("*")) == before
    assert error.value.exit_code is ExitCode.USAGE
    return error.value


@pytest.mark.parametrize("token", [None, "", "0" * 32, "../../x", "x" * 99])
def test_one_that_came_with_the_lab_is_refused(state: Path, token: str | None) -> None:
    state.mkdir(parents=True, mode=0o700)
    if token is not None:
        (state / TOKEN).write_text(token)
    error = refusal(state)
    assert str(error) == f"refusing to use {state}: plexctl did not create it for this user"
    assert f"`rm -r {state}`" in (error.hint or "")

    shutil.rmtree(state)
    state_folder(state)


def test_one_of_another_user_home_is_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_folder(state)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    refusal(state)


def test_a_link_is_refused_even_to_one_of_ours(state: Path) -> None:
    ours = state.parents[1] / "other" / ".plexctl"
    state_folder(ours)
    state.parent.mkdir()
    state.symlink_to(ours)
    assert "is a symbolic link to" in str(refusal(state))


@pytest.mark.parametrize("name", [TOKEN, ".gitignore"])
def test_a_link_in_place_of_its_files_reads_and_writes_nothing(state: Path, name: str) -> None:
    target = state.parents[1] / "bashrc"
    target.write_text("alias")
    state.mkdir(parents=True, mode=0o700)
    (state / name).symlink_to(target)
    refusal(state)
    assert target.read_text() == "alias"


def test_one_that_others_can_write_into_is_refused(state: Path) -> None:
    state_folder(state)
    state.chmod(0o770)
    assert "other users can write into it" in str(refusal(state))


def test_a_lab_may_be_moved(state: Path) -> None:
    state_folder(state).write("current", b"demo")
    moved = state.parent.rename(state.parents[1] / "moved") / ".plexctl"
    assert state_folder(moved).read("current") == b"demo"


def test_of_many_that_create_it_at_once_all_have_the_same(state: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: state_folder(state).read(TOKEN), range(64)))
    assert len(set(found)) == 1
    assert [file.name for file in state.parent.iterdir()] == [".plexctl"]
