"""How `ansrole` reads its arguments. Ansible itself runs in the examples of docs/scripts.md."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
import yaml

from plexctl.errors import UsageError
from plexctl.scripts import ansrole, playbook
from plexctl.scripts.role_play import Target, play, target, variables


def test_the_last_part_is_the_role() -> None:
    assert target("demo1:motd") == Target("demo1", "motd")
    assert target("all:!master::motd") == Target("all:!master", "motd")
    for words in ("motd", ":motd", "all:", "all:a b"):
        with pytest.raises(UsageError):
            target(words)


def test_variables_are_texts_or_json_and_the_last_takes_precedence() -> None:
    words = ["a=1", "b=x=y", '{"a": 2, "c": [1]}', "c="]
    assert variables(words, "motd") == {"a": 2, "b": "x=y", "c": ""}
    assert variables(["a=1", '{"a": 2}'], "motd", prefixed=True) == {"motd_a": "1", "a": 2}
    for word in ("a", "1a=x", "{", "{1}"):
        with pytest.raises(UsageError):
            variables([word], "motd")


def test_the_play_has_the_nodes_and_the_options() -> None:
    (content,) = yaml.safe_load(play(Target("a:b", "motd"), "/r", become=False, serial="30%"))
    assert (content["hosts"], content["roles"]) == ("a:b", ["/r"])
    assert (content["become"], content["gather_facts"], content["serial"]) == (False, True, "30%")


def test_secrets_are_in_no_argument_and_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roles/motd/tasks").mkdir(parents=True)
    (tmp_path / "roles/motd/tasks/main.yml").write_text("[]")
    seen: list[playbook.Playbook] = []

    def run(book: playbook.Playbook, show: object, *, interactive: bool = False) -> int:
        seen.append(book)
        return 4

    monkeypatch.setattr(playbook, "run", run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    words = ["-kK", "-nDvv", "-i", "x,", "-u", "me", "--start=a b", "all:motd", "token=hush"]
    assert ansrole.main(words) == 4
    (book,) = seen
    assert set(book.arguments) == {
        *("--check", "--diff", "--ask-pass", "--ask-become-pass", "-vv", "--user=me"),
        *("--start-at-task=a b", "--inventory=x,"),
    }
    assert [word.reveal() for word in book.passwords.values()] == [b"one", b"two"]
    assert json.loads(book.variables) == {"token": "hush"}
    shown = (*book.arguments, *book.environment.values(), book.plays)
    assert not any(word in text for text in shown for word in ("one", "two", "hush"))


def test_a_role_for_images_is_not_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no tasks/main\.yml"):
        ansrole.main(["-i", "x,", "all:kubenode"])
    with pytest.raises(UsageError, match="no role nothing"):
        ansrole.main(["-i", "x,", "all:nothing"])


def test_settings_of_ansible_in_the_current_folder_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ansible-playbook` heeds them, and `ansrole` overrode them with its own."""
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    lab, others = tmp_path / "lab", tmp_path / "others"
    lab.mkdir()
    others.mkdir()
    monkeypatch.chdir(lab)
    plain = ansrole._environment([lab])
    assert plain["ANSIBLE_STDOUT_CALLBACK"] == "unixz"
    (lab / "ansible.cfg").write_text(
        f"[defaults]\nstdout_callback = minimal\nroles_path = mine:{others}\nforce_color = 1\n"
    )
    found = ansrole._environment([lab])
    assert found["ANSIBLE_STDOUT_CALLBACK"] == "minimal"
    assert found["ANSIBLE_ROLES_PATH"].startswith(f"{lab}/mine:{others}:{lab}/roles:")
    assert found["ANSIBLE_FILTER_PLUGINS"] == plain["ANSIBLE_FILTER_PLUGINS"]
    assert not {"ANSIBLE_FORCE_COLOR", "ANSIBLE_NOCOLOR"} & set(found)

    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "yaml")
    assert ansrole._environment([lab])["ANSIBLE_STDOUT_CALLBACK"] == "yaml"


@pytest.mark.parametrize(
    ("callback", "printed"),
    [
        ("oneline", "localhost | SUCCESS => {  "),
        ("default", "TASK ["),
        ("unixz", "localhost: ok 1"),
    ],
)
def test_the_callback_of_ansible_cfg_prints_the_play(
    callback: str,
    printed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the real Ansible, which also runs where the locale is not UTF-8."""
    (tmp_path / "roles/greet/tasks").mkdir(parents=True)
    (tmp_path / "roles/greet/tasks/main.yml").write_text(
        "- name: Greet\n  ansible.builtin.debug: {msg: 'good day'}\n"
    )
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\nstdout_callback = {callback}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C")
    words = ["-i", "localhost,", "-c", "local", "-U", "--nofacts", "localhost:greet"]
    assert ansrole.main(words) == 0
    assert printed in capsys.readouterr().out


def test_of_the_output_of_nodes_only_the_colours_of_ansible_reach_the_terminal() -> None:
    green = "\x1b[0;32mone ok\x1b[0m"
    assert playbook.shown(f"{green}\r\n\x1b[1;31mx\x1b[0m\x1b[38;5;9my\x1b[0m") == (
        f"{green}\n\x1b[1;31mx\x1b[0m\x1b[38;5;9my\x1b[0m"
    )
    evil = "\x1b]0;owned\x07 \x1b[2J \x1b[8m \x1b[5n \x9b31m a\rb \u202e"
    assert playbook.shown(evil) == (
        "\\x1b]0;owned\\x07 \\x1b[2J \\x1b[8m \\x1b[5n \\x9b31m a\\rb \\u202e"
    )
