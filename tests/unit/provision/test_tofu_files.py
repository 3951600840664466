"""OpenTofu loads only files that plexctl wrote. H6: each file below could run programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from plexctl.clients.tofu import KNOWN, STATE, Tofu
from plexctl.config.builtin import builtin
from plexctl.errors import UsageError
from plexctl.model.folder import Folder
from plexctl.model.secret import Secret
from plexctl.provision.tofu.folder import IMPORTS, LOCK, MARK, VARIABLES, TofuFolder

KEY = Secret(bytes(32))
EVIL = '{"resource": {"terraform_data": {"x": {"provisioner": {"local-exec": {"command": "id"}}}}}}'
PROVIDER = Path("providers/registry.opentofu.org/lxc/incus/1.0.0/linux_amd64")


@dataclass(slots=True)
class FakeTofu:
    """Installs a provider and a list of modules, as `init` does."""

    root: Path
    program: Path = Path("/bin/tofu")
    inits: list[str] = field(default_factory=list)

    def init(self) -> None:
        self.inits.append("init")
        installed = self.root / ".terraform"
        (installed / PROVIDER).mkdir(parents=True)
        (installed / PROVIDER / "terraform-provider-incus").write_bytes(b"x" * (1 << 17))
        (installed / "modules").mkdir()
        (installed / "modules" / "modules.json").write_text('{"Modules": []}')
        (self.root / LOCK).write_text("a lock")

    def has_providers(self) -> bool:
        return (self.root / ".terraform" / PROVIDER / "terraform-provider-incus").exists()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab"


@pytest.fixture
def folder(lab: Path) -> TofuFolder:
    return TofuFolder(Folder(lab, ("state", "tofu"), private=True), locks=lab)


@pytest.fixture
def tofu(folder: TofuFolder) -> FakeTofu:
    return FakeTofu(folder.root)


def write(folder: TofuFolder, tofu: FakeTofu) -> None:
    folder.prepare(builtin("terraform"), tofu.program, KEY)
    folder.write(builtin("terraform"), {"a": 1}, cast(Tofu, tofu), KEY)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        "evil.tf.json",
        "evil.tf",
        "x_override.tf.json",
        "override.tf",
        "main.tofu",
        "main.tofu.json",
        "x.auto.tfvars",
        "x.auto.tfvars.json",
        "terraform.tfvars",
        "x.tftest.hcl",
        "terraform.d/plugins/x",
        "terraform.rc",
        ".terraformrc",
        "plexctl.tfplan",
        IMPORTS,
        "nodes/main.tf",
    ],
)
def test_a_file_that_plexctl_did_not_write_is_deleted(
    folder: TofuFolder, tofu: FakeTofu, name: str
) -> None:
    write(folder, tofu)
    before = tree(folder.path)
    (folder.root / name).parent.mkdir(parents=True, exist_ok=True)
    (folder.root / name).write_text(EVIL)
    (folder.path / "modules" / "incus-plex" / "evil.tf.json").write_text(EVIL)

    folder.prepare(builtin("terraform"), tofu.program, KEY)

    assert tree(folder.path) == before
    write(folder, tofu)
    assert tofu.inits == ["init"]


def test_files_in_a_folder_before_the_first_run_are_deleted(
    folder: TofuFolder, tofu: FakeTofu
) -> None:
    """Also what looks like an installed provider or module."""
    for name in ("evil.tf.json", ".terraform/modules/modules.json", LOCK, STATE):
        (folder.root / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder.root / name).write_text(EVIL)
    (folder.path / MARK).write_text("0" * 64)
    folder.path.chmod(0o700)

    folder.prepare(builtin("terraform"), tofu.program, KEY)

    assert {file.name for file in folder.root.iterdir()} == {"main.tf", "versions.tf", STATE}
    write(folder, tofu)
    assert tofu.inits == ["init"]


def test_state_and_variables_stay(folder: TofuFolder, tofu: FakeTofu) -> None:
    write(folder, tofu)
    for name in (STATE, f"{STATE}.backup", f"{STATE}.unreadable", KNOWN):
        (folder.root / name).write_text(name)
    write(folder, tofu)
    for name in (STATE, f"{STATE}.backup", f"{STATE}.unreadable", KNOWN):
        assert (folder.root / name).read_text() == name
    assert json.loads((folder.root / VARIABLES).read_text()) == {"a": 1}
    assert all(not path.stat().st_mode & 0o077 for path in (folder.root, folder.path))


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda at: (at / ".terraform/modules/modules.json").write_text('{"Modules": [1]}'),
        lambda at: (at / ".terraform/environment").write_text("other"),
        lambda at: (at / ".terraform" / PROVIDER / "terraform-provider-incus").write_text("#!"),
        lambda at: (at / ".terraform" / PROVIDER / "more").write_text("#!"),
        lambda at: (at / ".terraform" / "link").symlink_to("/"),
        lambda at: (at / LOCK).write_text("another lock"),
        lambda at: (at.parent / MARK).write_text("0" * 64),
    ],
)
def test_changed_files_of_opentofu_are_installed_again(
    folder: TofuFolder, tofu: FakeTofu, change: Change
) -> None:
    write(folder, tofu)
    write(folder, tofu)
    assert tofu.inits == ["init"]
    before = tree(folder.root)

    change(folder.root)
    folder.prepare(builtin("terraform"), tofu.program, KEY)
    assert not (folder.root / ".terraform").exists()  # OpenTofu is called next
    write(folder, tofu)

    assert tofu.inits == ["init", "init"]
    assert tree(folder.root) == before


def test_a_mark_of_another_key_is_none(folder: TofuFolder, tofu: FakeTofu) -> None:
    write(folder, tofu)
    folder.prepare(builtin("terraform"), tofu.program, Secret(b"1" * 32))
    assert not (folder.root / ".terraform").exists()


def test_changed_modules_are_written_again(folder: TofuFolder, tofu: FakeTofu) -> None:
    write(folder, tofu)
    before = tree(folder.path)
    (folder.root / "main.tf").write_text("evil")
    (folder.path / "modules" / "incus-plex" / "nodes" / "main.tf").unlink()
    folder.prepare(builtin("terraform"), tofu.program, KEY)
    assert tree(folder.path) == before


@pytest.mark.parametrize("name", ["main.tf", STATE, KNOWN, VARIABLES, ".terraform", LOCK, "x.tf"])
def test_links_in_the_folder_are_deleted(
    folder: TofuFolder, tofu: FakeTofu, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("the user's")
    write(folder, tofu)
    link = folder.root / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(outside if name == ".terraform" else outside / "file")

    write(folder, tofu)

    assert not link.is_symlink()
    assert tree(outside) == {"file": b"the user's"}


def test_a_link_in_place_of_a_folder_is_refused(
    folder: TofuFolder, tofu: FakeTofu, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    for name in ("incus", "modules", "boot"):
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.folder.create()
        (folder.path / name).symlink_to(tmp_path / "outside")
        with pytest.raises(UsageError, match="is a symbolic link"):
            write(folder, tofu)
            folder.write_boot({folder.boot / "x": b""})
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_lock_of_providers_is_kept_in_the_lab_and_not_behind_a_link(
    folder: TofuFolder, tofu: FakeTofu, lab: Path, tmp_path: Path
) -> None:
    write(folder, tofu)
    assert (lab / "tofu-incus.lock.hcl").read_text() == "a lock"

    (tmp_path / "bashrc").write_text("alias")
    (lab / "tofu-incus.lock.hcl").unlink()
    (lab / "tofu-incus.lock.hcl").symlink_to(tmp_path / "bashrc")
    with pytest.raises(UsageError, match="leads out of the lab"):
        write(folder, tofu)
    assert (tmp_path / "bashrc").read_text() == "alias"
