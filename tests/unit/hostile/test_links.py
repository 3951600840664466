"""Links in a lab do not lead plexctl to files outside of the lab."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plexctl.bake.roles import role_digests
from plexctl.depot.lock import Lock
from plexctl.errors import UsageError
from plexctl.model.gitops import AppSource, SourceKind
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret
from plexctl.workflow.gitops.delivery import source_keys
from plexctl.workflow.gitops.secrets import encrypt
from plexctl.workflow.gitops.tree import pack_tree
from plexctl.workflow.host.tokens import delete_host_token, store_host_token
from tests.fake_incus import FakeIncus
from tests.unit.bake.host import KUBE, role_folder
from tests.unit.cli.conftest import Plexctl
from tests.unit.conftest import SEED, FakeSops

from .conftest import CANARY, Outside

PATH = "clusters/demo"


def test_destroy_deletes_no_folder_behind_a_link(
    lab: Path, plexctl: Plexctl, outside: Outside, server: FakeIncus
) -> None:
    """H1: `plexes` is a link, and the user's folder has the name of a plex."""
    before = outside.snapshot()
    (lab / ".plexctl" / "plexes").symlink_to(outside.root)

    ended = plexctl("destroy", "docs", "-y")

    assert outside.snapshot() == before
    assert ended.code == 2
    assert f"{lab}/.plexctl/plexes: it is a symbolic link to {outside.root}" in ended.err
    assert f"hint: delete the link: `rm {lab}/.plexctl/plexes`" in ended.err


def test_destroy_deletes_a_link_and_not_its_target(
    lab: Path, plexctl: Plexctl, outside: Outside, server: FakeIncus
) -> None:
    before = outside.snapshot()
    (lab / ".plexctl" / "plexes").mkdir(mode=0o700)
    (lab / ".plexctl" / "plexes" / "gone").symlink_to(outside.root / "docs")

    plexctl("destroy", "gone", "-y")

    assert outside.snapshot() == before


@pytest.mark.parametrize("verb", [("inventory",), ("ssh", "demo1")])
def test_no_key_of_the_user_is_overwritten(
    lab: Path,
    plexctl: Plexctl,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    verb: tuple[str, ...],
) -> None:
    """H2: the folder of a plex is a link to ~/.ssh."""
    monkeypatch.setattr("plexctl.clients.process.replace", lambda _: sys.exit(0))
    before = outside.snapshot()
    (lab / ".plexctl" / "plexes").mkdir(mode=0o700)
    (lab / ".plexctl" / "plexes" / "demo").symlink_to(outside.root / ".ssh")

    ended = plexctl(*verb)

    assert outside.snapshot() == before
    assert ended.code == 2
    assert f"is a symbolic link to {outside.root}/.ssh" in ended.err


def test_the_key_for_hosts_is_not_written_through_a_link(
    lab: Path, plexctl: Plexctl, outside: Outside
) -> None:
    """H2: `.plexctl/hosts` has client.key."""
    before = outside.snapshot()
    (lab / ".plexctl" / "hosts").symlink_to(outside.root / ".ssh")
    (lab / "clusters" / "hosts.yaml").write_text(
        f"hosts: {{far: {{kind: incus, url: 'https://127.0.0.1:1', certificate: {'ab' * 32}, "
        "facts: {cgroup: 2, cpus: 2, memory: 8GiB}}}\nregistry: {}\n"
    )

    ended = plexctl("list")

    assert outside.snapshot() == before
    assert ended.code == 2
    assert "is a symbolic link to" in ended.err


def test_no_file_is_emptied_by_a_run(clone: Path, plexctl: Plexctl, outside: Outside) -> None:
    """H3: `.plexctl/.gitignore` is a link to ~/.bashrc."""
    before = outside.snapshot()
    (clone / ".plexctl" / ".gitignore").symlink_to(outside.root / ".bashrc")

    ended = plexctl("destroy", "demo", "-y")

    assert outside.snapshot() == before
    assert ended.code == 2
    assert f"refusing to use {clone}/.plexctl: plexctl did not create it" in ended.err
    assert f"`rm -r {clone}/.plexctl`" in ended.err


@pytest.mark.parametrize(
    "link", ["apps/hello-world/notes.txt", "apps/linked", "clusters/demo/linked", "apps/dangling"]
)
def test_a_push_follows_no_link(lab: Path, outside: Outside, link: str) -> None:
    """H4: a link to the user's age.key, and to folders."""
    targets = {"notes.txt": "age.key", "linked": "docs", "dangling": "nothing"}
    (lab / link).symlink_to(outside.root / targets[Path(link).name])
    with pytest.raises(UsageError, match=f"nothing was pushed: {link} is a symbolic link to"):
        pack_tree(lab, PATH)


@pytest.mark.parametrize("folder", ["apps", "clusters"])
def test_a_push_follows_no_link_in_place_of_its_folders(lab: Path, folder: str) -> None:
    (lab / folder).rename(lab / "moved")
    (lab / folder).symlink_to("moved")
    with pytest.raises(UsageError, match="is a symbolic link to moved"):
        pack_tree(lab, PATH)


def test_a_private_key_is_not_pushed_in_any_file(lab: Path) -> None:
    (lab / "apps" / "hello-world" / "notes.txt").write_text(f"# mine\n{CANARY}\n")
    with pytest.raises(UsageError, match="contains a private key of age") as error:
        pack_tree(lab, PATH)
    assert error.value.details == ("apps/hello-world/notes.txt",)
    assert CANARY not in str(error.value)


def packed(lab: Path) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(pack_tree(lab, PATH)))) as tar:
        return set(tar.getnames())


def test_only_files_of_plexctl_itself_are_left_out(lab: Path) -> None:
    """G6: files deeper in the tree that have the same names are the user's."""
    before = packed(lab)
    files = ("apps/web/hosts.yaml", "apps/web/plex.yaml", "apps/web/.sourceignore")
    own = (
        "clusters/demo/source-token.age",
        "clusters/hosts/pve.token.age",
        "apps/web/.env",
        "apps/web/.git/config",
        "apps/web/backup.age",
    )
    for name in (*files, *own):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text("a: b\n")

    assert packed(lab) == before | set(files)
    assert not {"clusters/hosts.yaml", "clusters/seed.age", "clusters/demo/plex.yaml"} & before


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("secretGenerator: [{name: a, envs: [.env]}]", ".env"),
        ("configMapGenerator: [{name: a, files: [key=backup.age]}]", "backup.age"),
        ("resources: [.hidden]", ".hidden"),
        ("resources: [../../types/x.yaml]", "../../types/x.yaml"),
        ("patches: [{path: ../../clusters/demo/plex.yaml}]", "../../clusters/demo/plex.yaml"),
    ],
)
def test_a_file_that_a_kustomization_names_is_not_left_out_silently(
    lab: Path, text: str, named: str
) -> None:
    """G6."""
    for name in ("apps/web/.env", "apps/web/backup.age", "apps/web/.hidden/x", "types/x.yaml"):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text("a: b\n")
    (lab / "apps" / "web" / "kustomization.yaml").write_text(f"{text}\n")
    with pytest.raises(UsageError, match="names a file that plexctl does not push") as error:
        pack_tree(lab, PATH)
    assert f"apps/web/kustomization.yaml: {named}" in error.value.details


@pytest.mark.parametrize("place", ["files/kube/key", "files/linked", "defaults/x.yml", "tasks/x"])
def test_a_link_in_a_role_copies_nothing_into_an_image(
    tmp_path: Path, outside: Outside, place: str
) -> None:
    """M4: a link in roles/*/files."""
    role_folder(tmp_path, "base", "base")
    role = role_folder(tmp_path, "kubenode", "runtime", "kube")
    link = role / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside.root / ("docs" if place == "files/linked" else "age.key"))
    with pytest.raises(UsageError, match=f"refusing to use role kubenode: {link} is a symbolic"):
        role_digests(lambda name: tmp_path / name, [KUBE])


def test_a_link_to_a_file_of_the_same_role_is_fine(tmp_path: Path) -> None:
    role_folder(tmp_path, "base", "base")
    role = role_folder(tmp_path, "kubenode", "runtime", "kube")
    (role / "defaults").mkdir(exist_ok=True)
    (role / "defaults" / "real.yml").write_text("a: b\n")
    (role / "defaults" / "main.yml").symlink_to("real.yml")
    assert role_digests(lambda name: tmp_path / name, [KUBE])


def test_no_umask_lets_others_write_into_a_new_lab(
    home: Path, tmp_path: Path, plexctl: Plexctl
) -> None:
    """L6: the umask is 0."""
    lab = tmp_path / "new" / "lab"
    before = os.umask(0)
    try:
        assert plexctl("-C", str(lab), "init", "demo", "--gitops").code == 0
        plexctl("-C", str(lab), "inventory")
    finally:
        os.umask(before)
    for path in (lab, *lab.rglob("*"), *(home / "config").rglob("*"), *(home / "state").rglob("*")):
        assert not stat.S_IMODE(path.lstat().st_mode) & 0o022, path
    for folder in (lab / ".plexctl", *(lab / ".plexctl").rglob("*"), home / "config" / "plexctl"):
        if folder.is_dir():
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


@pytest.mark.parametrize(
    "file",
    ["clusters/broken/plex.yaml", "types/broken.yaml", "types/bases.yaml", "clusters/hosts.yaml"],
)
@pytest.mark.parametrize("target", ["nothing", "broken.yaml"])
def test_a_link_to_nothing_is_reported(lab: Path, plexctl: Plexctl, file: str, target: str) -> None:
    """L2: such a file was ignored."""
    (lab / file).parent.mkdir(exist_ok=True)
    (lab / file).unlink(missing_ok=True)
    (lab / file).symlink_to((lab / file).name if target == "broken.yaml" else target)

    ended = plexctl("list")

    assert ended.code == 2
    assert f"{file}:1: " in ended.err
    assert "does not exist" in ended.err or "cannot be read" in ended.err


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("clusters/demo/plex.yaml", "other/plex.yaml"),
        ("clusters/hosts.yaml", "other/hosts.yaml"),
        ("clusters/seed.age", "age.key"),
        ("types/x.yaml", "other/x.yaml"),
        ("clusters/demo", "other"),
    ],
)
def test_configuration_outside_of_the_lab_is_refused(
    lab: Path, plexctl: Plexctl, outside: Outside, file: str, target: str
) -> None:
    if (lab / file).is_dir():
        (lab / file).rename(lab / "moved")
    (lab / file).parent.mkdir(exist_ok=True)
    (lab / file).unlink(missing_ok=True)
    (lab / file).symlink_to(outside.root / target)
    before = outside.snapshot()
    for verb in (("list",), ("scale", "demo", "--workers", "3", "-y"), ("engine", "tofu", "demo")):
        ended = plexctl(*verb)
        assert ended.code == 2, verb
        assert "leads out of the lab" in ended.err
    assert outside.snapshot() == before


def test_depot_lock_is_not_written_behind_a_link(lab: Path, outside: Outside) -> None:
    (lab / "depot.lock").symlink_to(outside.root / "lock.json")
    with pytest.raises(UsageError, match="leads out of the lab"):
        Lock(lab / "depot.lock").keep({"a": "0" * 64})
    assert not (outside.root / "lock.json").exists()


@pytest.mark.parametrize("link", ["apps/secret.yaml", "apps/linked"])
def test_secrets_are_not_written_behind_a_link(
    lab: Path, outside: Outside, fake_sops: FakeSops, link: str
) -> None:
    """All of the files are checked before one is written."""
    plain = "kind: Secret\nmetadata: {name: web}\nstringData: {password: canary}\n"
    (outside.root / "other" / "x.yaml").write_text(plain)
    (lab / "apps" / "good.yaml").write_text(plain)
    target = "other/x.yaml" if link.endswith(".yaml") else "other"
    (lab / link).symlink_to(outside.root / target)
    file = lab / link if link.endswith(".yaml") else lab / link / "x.yaml"
    before = outside.snapshot()
    with pytest.raises(UsageError, match="leads out of the lab"):
        encrypt(fake_sops(), lab, [lab / "apps" / "good.yaml", file])
    assert outside.snapshot() == before
    assert (lab / "apps" / "good.yaml").read_text() == plain


def test_a_secret_may_be_a_link_that_stays_in_the_lab(lab: Path, fake_sops: FakeSops) -> None:
    plain = "kind: Secret\nmetadata: {name: web}\nstringData: {password: canary}\n"
    (lab / "apps" / "real.yaml").write_text(plain)
    (lab / "apps" / "link.yaml").symlink_to("real.yaml")
    encrypt(fake_sops(), lab, [lab / "apps" / "link.yaml"])
    assert (lab / "apps" / "link.yaml").is_symlink()
    assert "canary" not in (lab / "apps" / "real.yaml").read_text()


def test_a_file_for_the_cluster_is_not_read_behind_a_link(lab: Path, outside: Outside) -> None:
    """`ca`, `known_hosts` and `verify` of gitops become Secrets in the cluster."""
    (lab / "clusters" / "ca.pem").symlink_to(outside.root / ".ssh" / "id_ed25519")
    source = AppSource(SourceKind.HTTPS, "https://git.example.org/x", ca=lab / "clusters/ca.pem")
    ctx = SimpleNamespace(lab=SimpleNamespace(root=lab, secrets_epoch=1), seed=SEED)
    plex = SimpleNamespace(name="demo", file=lab / "clusters" / "demo" / "plex.yaml")
    gitops = SimpleNamespace(source=source)
    with pytest.raises(UsageError, match="leads out of the lab"):
        source_keys(cast(Any, ctx), cast(Any, plex), cast(Any, gitops))


def test_the_token_of_a_host_is_neither_written_nor_deleted_behind_a_link(
    lab: Path, outside: Outside
) -> None:
    (outside.root / "docs" / "pve.token.age").write_text("the user's")
    before = outside.snapshot()
    (lab / "clusters" / "hosts").symlink_to(outside.root / "docs")
    found = Lab(lab, {}, {}, {})
    with pytest.raises(UsageError, match="leads out of the lab"):
        store_host_token(found, SEED, "pve", Secret(b"token"))
    with pytest.raises(UsageError, match="leads out of the lab"):
        delete_host_token(found, "pve")
    assert outside.snapshot() == before


@pytest.mark.parametrize(
    ("verb", "code"), [("list", 0), ("kubeconfig", 0), ("status", 1), ("plan", 3), ("init", 2)]
)
def test_only_verbs_that_need_the_state_folder_refuse_one_that_came_with_the_lab(
    clone: Path, plexctl: Plexctl, server: FakeIncus, verb: str, code: int
) -> None:
    (clone / ".plexctl" / "current").write_text("evil\n")
    before = {file: file.read_bytes() for file in clone.rglob("*") if file.is_file()}
    ended = plexctl(verb)
    assert ended.code == code, ended.err
    assert ("refusing to use" in ended.err) == (code == 2)
    assert {file: file.read_bytes() for file in clone.rglob("*") if file.is_file()} == before
