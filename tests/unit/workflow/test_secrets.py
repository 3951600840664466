"""The verbs `secret` encrypt, edit and rotate files of Secrets, and refuse other files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from plexctl.clients.sops import recipients
from plexctl.errors import PlexError, UsageError
from plexctl.render import lab_text
from plexctl.workflow.gitops import editor
from plexctl.workflow.gitops.secrets import edit, encrypt, encrypted_files, rotate

from ..conftest import FakeSops

PLAIN = "kind: Secret\nmetadata: {name: web}\nstringData: {password: canary}\n"

Editor = Callable[[str], None]


class Stopped(BaseException):
    """The exception that the command line raises for a signal."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "lab"
    for folder in ("apps/web", "clusters/demo"):
        (root / folder).mkdir(parents=True)
    monkeypatch.setattr(editor, "MEMORY", tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(editor, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(f"tmpfs {tmp_path / 'memory'} tmpfs rw 0 0\n")
    return root


@pytest.fixture
def web(root: Path, fake_sops: FakeSops) -> Path:
    file = root / "apps" / "web" / "secret.yaml"
    file.write_text(PLAIN)
    encrypt(fake_sops(), root, [file])
    return file


@pytest.fixture
def use_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Makes a shell script the user's editor; it records modes of the file and its folder."""
    script = tmp_path / "my editor"

    def use(body: str) -> None:
        script.write_text(f'#!/bin/sh\nstat -c %a "$(dirname "$1")" "$1" >"$0.modes"\n{body}\n')
        script.chmod(0o755)
        monkeypatch.setenv("VISUAL", f"'{script}'")

    return use


def memory_is_empty(root: Path) -> bool:
    return not list((root.parent / "memory").iterdir())


def test_encrypt_keeps_files_that_are_encrypted_already(
    root: Path, web: Path, fake_sops: FakeSops
) -> None:
    other = root / "apps" / "other.yml"
    other.write_text(PLAIN)
    other.chmod(0o640)
    before = web.read_bytes()
    result = encrypt(fake_sops(), root, [web, other])
    assert [(row.file, row.changed) for row in result.files] == [(web, False), (other, True)]
    assert web.read_bytes() == before
    assert "canary" not in other.read_text()
    assert other.stat().st_mode & 0o777 == 0o640
    assert result.recipient == fake_sops().recipient


def test_encrypt_changes_nothing_if_one_file_is_refused(root: Path, fake_sops: FakeSops) -> None:
    good, bad = root / "apps" / "good.yaml", root / "apps" / "bad.yaml"
    good.write_text(PLAIN)
    bad.write_text(f"{PLAIN}---\nkind: ConfigMap\n")
    with pytest.raises(PlexError) as error:
        encrypt(fake_sops(), root, [good, bad])
    assert error.value.details == (
        f"{bad}:5: an object has `kind: ConfigMap`: only `kind: Secret` can be encrypted",
    )
    assert good.read_text() == PLAIN
    assert fake_sops.calls() == []


def test_encrypt_refuses_a_plain_value_in_an_encrypted_file(web: Path, fake_sops: FakeSops) -> None:
    web.write_text(web.read_text().replace("stringData:\n", "stringData:\n  more: canary\n"))
    with pytest.raises(PlexError) as error:
        encrypt(fake_sops(), web.parents[2], [web])
    assert "is encrypted only in part" in error.value.details[0]


@pytest.mark.parametrize("name", ["secret.json", "secret", "seed.age"])
def test_names_that_rotate_would_not_find_are_refused(name: str, fake_sops: FakeSops) -> None:
    verbs: tuple[Callable[[], object], ...] = (
        lambda: edit(fake_sops(), Path(), Path(name)),
        lambda: encrypt(fake_sops(), Path(), [Path(name)]),
        lambda: rotate(fake_sops(), Path(), [Path(name)]),
    )
    for verb in verbs:
        with pytest.raises(UsageError, match="must end with"):
            verb()


def test_edit_encrypts_the_saved_text(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    use_editor('sed -i s/canary/sparrow/ "$1"; cp "$1" "$1~"')
    assert edit(fake_sops(), web.parents[2], web).files[0].changed
    assert b"password: sparrow" in fake_sops().decrypt(web).reveal()
    assert memory_is_empty(root)
    assert (root.parent / "my editor.modes").read_text() == "700\n600\n"


def test_edit_of_the_same_text_writes_nothing(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    before = web.stat()
    use_editor('touch "$1"')
    assert not edit(fake_sops(), web.parents[2], web).files[0].changed
    after = web.stat()  # its time of access may differ
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_file_starts_with_a_template(
    root: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    file = root / "apps" / "new" / "Data_Base.sops.yaml"
    use_editor("true")
    assert not edit(fake_sops(), root, file).files[0].changed
    assert not file.parent.exists()
    use_editor('sed -i \'s/password: ""/password: canary/\' "$1"')
    assert edit(fake_sops(), root, file).files[0].changed
    text = file.read_text()
    assert "name: data-base\n" in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("body", "summary", "detail"),
    [
        ("exit 3", "failed with code 3", ""),
        ('rm "$1"', "deleted secret.yaml", ""),
        (
            'sed -i s/Secret/ConfigMap/ "$1"',
            "nothing was changed",
            "secret.yaml:1: an object has `kind",
        ),
        ('echo "a: [" >>"$1"', "nothing was changed", "not valid YAML"),
        ("kill -INT $$", "failed with code -2", ""),
    ],
)
def test_edit_that_fails_changes_nothing(
    root: Path,
    web: Path,
    fake_sops: FakeSops,
    use_editor: Editor,
    body: str,
    summary: str,
    detail: str,
) -> None:
    before = web.read_bytes()
    use_editor(body)
    with pytest.raises(PlexError, match=summary) as error:
        edit(fake_sops(), web.parents[2], web)
    assert detail in " ".join(error.value.details)
    assert web.read_bytes() == before
    assert memory_is_empty(root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_plain_text_is_deleted_after_a_signal(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor, number: signal.Signals
) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    hangup = signal.getsignal(signal.SIGHUP)
    use_editor(f"kill -{int(number)} {os.getpid()}; exec sleep 60")
    try:
        with pytest.raises(Stopped):
            edit(fake_sops(), web.parents[2], web)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGHUP) == hangup
    assert memory_is_empty(root)


def test_edit_refuses_a_folder_that_is_not_in_memory(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    use_editor("true")
    editor.MOUNTS.write_text(
        f"tmpfs {editor.MEMORY} tmpfs rw 0 0\n/dev/sda1 {editor.MEMORY} ext4 rw 0 0\n"
    )
    with pytest.raises(PlexError, match="not a file system in memory"):
        edit(fake_sops(), web.parents[2], web)


def test_edit_does_not_overwrite_a_change_made_meanwhile(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    use_editor(f'sed -i s/canary/sparrow/ "$1"; echo "# theirs" >>{web}')
    with pytest.raises(PlexError, match="has changed since"):
        edit(fake_sops(), web.parents[2], web)
    assert web.read_text().endswith("# theirs\n")


def test_edit_of_a_plain_file_hints_how_to_encrypt_it(root: Path, fake_sops: FakeSops) -> None:
    file = root / "apps" / "plain.yaml"
    file.write_text(PLAIN)
    with pytest.raises(PlexError, match="is not encrypted") as error:
        edit(fake_sops(), root, file)
    assert f"plexctl secret encrypt {file}" in (error.value.hint or "")


def test_the_editor_is_visual_or_editor_or_a_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "two 'words here'")
    monkeypatch.setenv("VISUAL", " ")
    assert editor.editor() == ("two", "words here")
    monkeypatch.setenv("VISUAL", "code --wait")
    assert editor.editor() == ("code", "--wait")
    monkeypatch.setenv("VISUAL", "it's")
    with pytest.raises(PlexError, match="VISUAL is not a valid command"):
        editor.editor()
    monkeypatch.delenv("VISUAL")
    monkeypatch.delenv("EDITOR")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PlexError, match="no editor"):
        editor.editor()


def test_rotate_finds_all_encrypted_files(root: Path, web: Path, fake_sops: FakeSops) -> None:
    more = root / "clusters" / "demo" / "token.yml"
    more.write_bytes(web.read_bytes())
    (root / "clusters" / "demo" / "plex.yaml").write_text("workers: 1\n")
    (root / "apps" / "broken.yaml").write_text("sops: [\n")
    assert encrypted_files(root) == [web, more]
    before = web.read_bytes()
    result = rotate(fake_sops(2), root, [])
    assert [row.file for row in result.files] == [web, more]
    assert web.read_bytes() != before
    assert fake_sops(2).recipient in web.read_text()
    assert b"canary" in fake_sops(2).decrypt(web).reveal()


def test_rotate_of_a_lab_without_secrets(root: Path, fake_sops: FakeSops) -> None:
    assert rotate(fake_sops(), root, []).files == ()


def test_rotate_changes_nothing_if_one_file_cannot_be_read(
    root: Path, web: Path, fake_sops: FakeSops
) -> None:
    other = root / "apps" / "zz.yaml"
    other.write_text(web.read_text().replace("mac: ENC[1", "mac: wrong"))
    before = web.read_bytes()
    with pytest.raises(PlexError, match="was changed after"):
        rotate(fake_sops(), root, [])
    assert web.read_bytes() == before


FRIEND, AUDITOR = "age1friend", "age1audit0r"


@pytest.fixture
def shared(root: Path, web: Path, fake_sops: FakeSops) -> Path:
    web.write_bytes(fake_sops().encrypt(PLAIN.encode(), web, [FRIEND]))
    return web


def test_edit_keeps_the_key_of_a_colleague(
    root: Path, shared: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    use_editor('sed -i s/canary/sparrow/ "$1"')
    result = edit(fake_sops(2), root, shared)
    assert recipients(shared.read_bytes()) == (fake_sops(2).recipient, FRIEND)
    assert result.files[0].others == (FRIEND,)
    assert lab_text.secrets(result).endswith(f"(also for {FRIEND})")


def test_rotate_keeps_the_key_of_a_colleague(root: Path, shared: Path, fake_sops: FakeSops) -> None:
    result = rotate(fake_sops(2), root, [])
    assert set(recipients(shared.read_bytes())) == {fake_sops(2).recipient, FRIEND}
    assert result.files[0].others == (FRIEND,)


def test_keys_of_other_kinds_are_not_dropped(
    root: Path, web: Path, fake_sops: FakeSops, use_editor: Editor
) -> None:
    web.write_text(web.read_text().replace("sops:\n", "sops:\n  pgp: [{fp: A1}]\n"))
    before, calls = web.read_bytes(), len(fake_sops.calls())
    use_editor('sed -i s/canary/sparrow/ "$1"')
    with pytest.raises(PlexError, match="also encrypted for keys of pgp"):
        edit(fake_sops(), root, web)
    with pytest.raises(PlexError, match="also encrypted for keys of pgp"):
        rotate(fake_sops(), root, [])
    assert web.read_bytes() == before
    assert len(fake_sops.calls()) == calls


def test_rules_of_sops_add_keys(root: Path, web: Path, fake_sops: FakeSops) -> None:
    rules = f"- {{path_regex: ^clusters/, age: age1no}}\n- age: '{AUDITOR}, {FRIEND}'\n"
    (root / ".sops.yaml").write_text(f"creation_rules:\n{rules}")
    other = root / "apps" / "other.yaml"
    other.write_text(PLAIN)
    encrypt(fake_sops(), root, [other])
    rotate(fake_sops(), root, [web])
    for file in (other, web):
        assert recipients(file.read_bytes()) == (fake_sops().recipient, AUDITOR, FRIEND)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("pgp: A1", "encrypted for pgp"),
        ("age: --in-place", "not a public key of age"),
        ("path_regex: '['", "cannot read"),
        ("[", "cannot read"),
    ],
)
def test_rules_of_sops_that_cannot_be_followed_are_refused(
    root: Path, fake_sops: FakeSops, rule: str, message: str
) -> None:
    (root / ".sops.yaml").write_text(f"creation_rules:\n- {rule}\n")
    file = root / "apps" / "other.yaml"
    file.write_text(PLAIN)
    with pytest.raises(PlexError, match=message):
        encrypt(fake_sops(), root, [file])
    assert file.read_text() == PLAIN


def test_encrypt_reports_a_file_that_only_a_foreign_key_opens(
    root: Path, web: Path, fake_sops: FakeSops
) -> None:
    web.write_text(web.read_text().replace(fake_sops().recipient, FRIEND))
    with pytest.raises(PlexError, match="encrypted already, and no key of this lab") as error:
        encrypt(fake_sops(), root, [web])
    assert FRIEND in error.value.details[0]


def test_encrypt_reports_a_file_whose_kind_is_encrypted(
    root: Path, web: Path, fake_sops: FakeSops
) -> None:
    web.write_text(web.read_text().replace("kind: Secret", "kind: ENC[1"))
    with pytest.raises(PlexError, match="encrypted already, also its `kind`"):
        encrypt(fake_sops(), root, [web])
