"""The parts of a lab that run programs on this machine, and the question about them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from plexctl.config.builtin import builtin
from plexctl.errors import PlexError, UsageError
from plexctl.model.state import state_folder
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.lab.init import init
from plexctl.workflow.trust import parts as trust_parts
from plexctl.workflow.trust.gate import LISTED, require_trust
from plexctl.workflow.trust.parts import PartKind, lab_parts
from plexctl.workflow.trust.verbs import list_parts, revoke, trust_lab

FILES = {
    "clusters/hosts.yaml": "hosts: {local: {}}\n",
    "roles/box/tasks/box.yml": "- name: Run\n  ansible.builtin.command: id\n",
    "roles/box/files/box/run.sh": "#!/bin/sh\n",
    "pins/pins.yaml": "{}\n",
    "pins/own/go.mod": "module x\n",
    "types/bases.yaml": "own: {release: bookworm}\n",
    "types/own.yaml": "role: box\n",
    "apps/web/release.yaml": "kind: HelmRelease\n",
    "apps/web/config.yml": "plexes: {}\n",
    "README.md": "a lab\n",
}
RUN = {
    "roles/box/tasks/box.yml",
    "roles/box/files/box/run.sh",
    "pins/pins.yaml",
    "pins/own/go.mod",
    "types/bases.yaml",
    "apps/web/release.yaml",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def root(home: Path) -> Path:
    """A lab of somebody else."""
    for name, content in FILES.items():
        (home / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "lab" / name).write_text(content)
    return home / "lab"


@dataclass
class User:
    """Answers, and remembers the questions."""

    yes: bool = True
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, lines: Sequence[str]) -> bool:
        self.asked.append(tuple(lines))
        return self.yes


def names(root: Path) -> set[str]:
    return {file for part in lab_parts(root) for file in part.files}


def context(root: Path, user: Callable[[Sequence[str]], bool] | None) -> Context:
    (root / "types" / "own.yaml").unlink(missing_ok=True)  # the lab is valid without it
    ctx = open_lab(root, cache=root / "cache", listener=lambda _: None)
    return replace(ctx, approve=user)


def test_the_parts_are_all_files_that_decide_what_runs_here(root: Path) -> None:
    assert names(root) == RUN


def test_parts_that_plexctl_brings_are_not_among_them(root: Path) -> None:
    """Also not their copies: the bytes are those of the package."""
    for name in ("roles", "apps", "types"):
        shutil.rmtree(root / name)
        shutil.copytree(builtin(name), root / name)
    assert names(root) == {"pins/pins.yaml", "pins/own/go.mod"}
    (root / "roles" / "base" / "tasks" / "base.yml").write_text("[]\n")
    assert {name.split("/")[1] for name in names(root) if name.startswith("roles/")} == {"base"}


def test_the_checkout_is_a_lab_without_such_parts() -> None:
    assert lab_parts(builtin("types").parent) == ()


def test_verbs_that_must_be_fast_import_nothing_of_it() -> None:
    program = (
        "import sys, plexctl.workflow.plex.verbs, plexctl.workflow.plex.plan\n"
        "import plexctl.workflow.plex.status, plexctl.workflow.images.bake\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "plexctl.workflow.plex.verbs" in done.stdout
    assert "plexctl.workflow.trust" not in done.stdout


def test_a_lab_without_such_parts_costs_no_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("roles", "pins", "types", "apps"):
        shutil.rmtree(root / name)
    user = User()
    ctx = context(root, user)
    monkeypatch.setattr("plexctl.model.folder.Folder._opened", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    require_trust(ctx, *PartKind)
    assert user.asked == []


def test_the_question_lists_all_files_and_is_asked_once(root: Path) -> None:
    user = User()
    ctx = context(root, user)
    require_trust(ctx, PartKind.ROLE)
    require_trust(ctx, PartKind.PINS, PartKind.BASES)
    require_trust(context(root, user), *PartKind)
    assert len(user.asked) == 1
    assert {line.removeprefix("  new: ") for line in user.asked[0] if line.startswith(" ")} == RUN
    assert f"roles/box: {PartKind.ROLE}" in user.asked[0]


def test_only_parts_that_run_are_asked_about(root: Path) -> None:
    shutil.rmtree(root / "pins")
    user = User()
    require_trust(context(root, user), PartKind.PINS)
    assert user.asked == []


def test_a_long_list_is_cut(root: Path) -> None:
    for number in range(30):
        (root / "roles" / "box" / "files" / f"f{number}").write_text("")
    user = User()
    require_trust(context(root, user), PartKind.ROLE)
    shown = [line for line in user.asked[0] if "roles/box/" in line]
    assert len(shown) == LISTED
    assert any(
        "and 20 more files; `plexctl trust --list` lists all" in one for one in user.asked[0]
    )


def change(root: Path) -> None:
    (root / "roles/box/tasks/box.yml").write_text("- name: Other\n")


def add(root: Path) -> None:
    (root / "roles/box/library").mkdir()
    (root / "roles/box/library/x.py").write_text("")


def delete(root: Path) -> None:
    (root / "roles/box/files/box/run.sh").unlink()


def make_executable(root: Path) -> None:
    (root / "roles/box/files/box/run.sh").chmod(0o755)


def replace_pins(root: Path) -> None:
    (root / "pins/own/go.mod").write_text("module y\n")


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (change, "  changed: roles/box/tasks/box.yml"),
        (add, "  new: roles/box/library/x.py"),
        (delete, "  deleted: roles/box/files/box/run.sh"),
        (make_executable, "  changed: roles/box/files/box/run.sh"),
        (replace_pins, "  changed: pins/own/go.mod"),
    ],
)
def test_a_change_is_asked_about_again_and_named(
    root: Path, edit: Callable[[Path], None], line: str
) -> None:
    user = User()
    require_trust(context(root, user), *PartKind)
    edit(root)
    require_trust(context(root, user), PartKind.ROLE, PartKind.PINS)
    assert len(user.asked) == 2
    assert [one for one in user.asked[1] if one.startswith(" ")] == [line]
    require_trust(context(root, user), *PartKind)
    assert len(user.asked) == 2


def test_other_files_may_change(root: Path) -> None:
    user = User()
    require_trust(context(root, user), *PartKind)
    (root / "README.md").write_text("changed\n")
    (root / "apps/web/config.yml").write_text("plexes: {a: b}\n")
    require_trust(context(root, user), *PartKind)
    assert len(user.asked) == 1


def test_a_refusal_is_not_stored(root: Path) -> None:
    user = User(yes=False)
    for _ in range(2):
        with pytest.raises(PlexError, match="stopped: you do not trust"):
            require_trust(context(root, user), PartKind.ROLE)
    assert len(user.asked) == 2


def test_without_a_terminal_it_is_an_error_with_a_hint(root: Path) -> None:
    with pytest.raises(UsageError, match="refusing to run parts of this lab") as error:
        require_trust(context(root, None), PartKind.ROLE)
    assert "`plexctl trust`" in (error.value.hint or "")
    assert "  new: roles/box/tasks/box.yml" in error.value.details


def test_the_decision_is_in_the_users_own_state_and_private(root: Path, home: Path) -> None:
    require_trust(context(root, User()), *PartKind)
    folder = home / "state" / "plexctl" / "trust"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["lab"] == str(root)
    assert set(json.loads(file.read_text())["files"]) == RUN


def test_another_lab_at_the_same_path_is_not_trusted(root: Path) -> None:
    """Also not if it is the same repository, cloned once more."""
    init(root.parent / "mine", "demo")
    user = User()
    require_trust(context(root, user), *PartKind)
    shutil.rmtree(root / ".plexctl")
    require_trust(context(root, user), *PartKind)
    assert len(user.asked) == 2


def test_a_moved_lab_stays_trusted(root: Path) -> None:
    user = User()
    require_trust(context(root, user), *PartKind)
    moved = root.rename(root.parent / "moved")
    require_trust(context(moved, user), *PartKind)
    assert len(user.asked) == 1


def test_a_damaged_decision_counts_as_none(root: Path, home: Path) -> None:
    user = User()
    require_trust(context(root, user), *PartKind)
    (file,) = (home / "state" / "plexctl" / "trust").iterdir()
    for content in ("", "[]", '{"files": [], "always": true}', "\xff"):
        file.write_bytes(content.encode("latin-1"))
        before = len(user.asked)
        require_trust(context(root, user), *PartKind)
        assert len(user.asked) == before + 1


def test_a_lab_that_init_created_is_trusted_with_later_changes(home: Path) -> None:
    init(home / "mine", "demo", gitops=True, apps=["podinfo"])
    assert lab_parts(home / "mine") == ()
    (home / "mine/roles/box/tasks").mkdir(parents=True)
    (home / "mine/roles/box/tasks/box.yml").write_text("[]\n")
    user = User()
    require_trust(context(home / "mine", user), *PartKind)
    assert user.asked == []


@pytest.mark.parametrize("existing", [("roles",), ("pins",), ("clusters",)])
def test_init_trusts_no_lab_that_has_parts_already(root: Path, existing: tuple[str, ...]) -> None:
    for name in ("clusters", "roles", "pins", "types", "apps"):
        if name not in existing:
            shutil.rmtree(root / name)
    init(root, "other")
    assert not list_parts(root).always


def test_trust_lists_trusts_and_revokes(root: Path) -> None:
    user = User()
    assert {row.state for row in list_parts(root).files} == {"new"}
    first = trust_lab(root, user)
    assert first.changed
    assert {row.state for row in first.files} == {"trusted"}
    assert not trust_lab(root, user).changed
    assert len(user.asked) == 1
    change(root)
    assert {row.file for row in list_parts(root).files if row.state == "changed"} == {
        "roles/box/tasks/box.yml"
    }
    assert revoke(root).changed
    assert {row.state for row in list_parts(root).files} == {"new"}
    assert not revoke(root).changed


def test_always_covers_later_changes(root: Path) -> None:
    user = User()
    assert trust_lab(root, user, always=True).always
    assert "every later change of such parts will be trusted too" in user.asked[0]
    change(root)
    require_trust(context(root, user), *PartKind)
    assert trust_lab(root, user).always
    assert len(user.asked) == 1


def test_a_refused_trust_changes_nothing(root: Path) -> None:
    with pytest.raises(PlexError, match="nothing was changed"):
        trust_lab(root, User(yes=False))
    assert {row.state for row in list_parts(root).files} == {"new"}


@pytest.mark.parametrize(
    "link", ["pins", "pins/pins.yaml", "pins/more", "roles", "roles/box/tasks/box.yml", "roles/web"]
)
def test_links_out_of_the_lab_are_refused(root: Path, link: str) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("x")
    path = root / link
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(outside if "." not in path.name else outside / "x")
    with pytest.raises(UsageError, match="refusing to use"):
        lab_parts(root)


def test_a_fifo_is_refused(root: Path) -> None:
    os.mkfifo(root / "roles/box/files/pipe")
    with pytest.raises(UsageError, match="is not a file"):
        lab_parts(root)


def test_links_inside_of_a_role_count_with_their_target(root: Path) -> None:
    (root / "roles/box/tasks/other.yml").symlink_to("box.yml")
    before = lab_parts(root)
    (root / "roles/box/tasks/other.yml").unlink()
    (root / "roles/box/tasks/other.yml").symlink_to("../files/box/run.sh")
    assert lab_parts(root) != before


def test_a_role_may_be_a_link_in_the_lab(root: Path) -> None:
    (root / "roles/web").symlink_to("box")
    assert "roles/web/tasks/box.yml" in names(root)


def test_each_kind_of_part_says_what_it_does() -> None:
    assert len({str(kind) for kind in PartKind}) == len(PartKind) == 4
    assert trust_parts.PartKind.ROLE.startswith("Ansible")


def test_the_state_folder_of_a_repository_gives_no_trust(root: Path) -> None:
    """A lab cannot bring a decision along: it does not know a token."""
    state_folder(root / ".plexctl")
    token = root / ".plexctl" / "token"
    trust_lab(root, User(), always=True)
    token.write_text("0" * 32)
    with pytest.raises(UsageError, match="plexctl did not create it"):
        list_parts(root)
