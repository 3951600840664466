"""The real Ansible applies a role to this machine, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients import ansible
from plexctl.clients.ansible import Play, apply
from plexctl.errors import Interrupted, PlexError, UsageError

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}

TASKS = """\
- name: Say where it is
  ansible.builtin.command: echo {{ where }}
  changed_when: false

- name: Fail, which is fine
  ansible.builtin.command: "false"
  ignore_errors: true

- name: Fail at last
  ansible.builtin.shell: echo out; echo first >&2; echo second >&2; exit 3
"""


def play(folder: Path, tasks: str) -> Play:
    role = folder / "somerole"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks" / "layer.yml").write_text(tasks)
    return Play(role, "layer", {"machine": HERE}, {"where": "here"})


def working_with(folder: Path) -> list[str]:
    """Processes that have it in their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cmdline").read_text())
    return [words for words in found if str(folder) in words]


def test_a_failed_task_is_reported_with_the_message_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work, log = tmp_path / "home", tmp_path / "work", tmp_path / "log"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # the environment is not activated
    before = signal.getsignal(signal.SIGINT)
    names: list[str] = []

    with pytest.raises(PlexError) as raised:
        apply(play(tmp_path, TASKS), work=work, log=log, on_task=names.append)

    assert raised.value.summary == "machine: the task 'Fail at last' of role somerole failed"
    assert raised.value.details == ("non-zero return code", "first", "second", "out")
    assert str(log) in (raised.value.hint or "")
    assert names == ["Say where it is", "Fail, which is fine", "Fail at last"]
    assert "Say where it is" in log.read_text()
    assert list(work.iterdir()) == []
    assert list(home.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before
    assert "ANSIBLE_CONFIG" not in os.environ


def test_a_role_that_ansible_cannot_read_is_reported_with_the_last_lines(tmp_path: Path) -> None:
    wrong = play(tmp_path, "- name: No such module\n  no.such.module:\n")

    with pytest.raises(PlexError, match="could not apply layer of role somerole") as raised:
        apply(wrong, work=tmp_path, log=tmp_path / "log")

    assert any("no.such.module" in line for line in raised.value.details)


def test_a_task_that_hangs_is_ended_by_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bake holds its lock until then. The library looks every five seconds."""
    hangs = play(tmp_path, "- name: Hang\n  ansible.builtin.command: sleep 600\n")
    for limit in (1, 60):  # a busy machine may not have begun the task after the first one
        monkeypatch.setattr(ansible, "PLAY", limit)
        with pytest.raises(PlexError, match=f"layer of role somerole within {limit} s") as it:
            apply(hangs, work=tmp_path, log=tmp_path / "log")
        if any("Hang" in line for line in it.value.details):
            break
    assert any("Hang" in line for line in it.value.details)
    assert working_with(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_play_that_is_interrupted_says_so(tmp_path: Path, number: signal.Signals) -> None:
    """With a message: the library handles the signal, and only ends the play."""
    tasks = f"- ansible.builtin.shell: kill -{int(number)} {os.getpid()}; exec sleep 60\n"
    with pytest.raises(Interrupted, match="interrupted") as raised:
        apply(play(tmp_path, tasks), work=tmp_path, log=tmp_path / "log")
    assert raised.value.number == number  # a bake that SIGTERM ends has the exit code 143
    assert working_with(tmp_path) == []


EVIL = "{{ lookup('pipe', 'touch ran') }}"


@pytest.mark.parametrize(
    "values",
    [
        {"variables": {"host_pool": {"name": EVIL}}},
        {"variables": {"host_vfio": ["10de:1b80", ("x", EVIL)]}},
        {"variables": {EVIL: 1}},
        {"variables": {"a": "{% set x = 1 %}"}},
        {"machines": {"machine": {"ansible_host": EVIL}}},
        {"machines": {EVIL: ansible.local()}},
        {"role": Path("/labs") / EVIL / "roles" / "box"},
    ],
)
def test_no_value_is_evaluated_as_a_template(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of a file, or the name of a folder, would run a program on this machine."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("Ansible was started")

    monkeypatch.setattr(ansible, "play_runner", fail)
    given = replace(play(tmp_path, "[]"), **values)
    with pytest.raises(UsageError, match="Ansible would evaluate it as a template"):
        apply(given, work=tmp_path, log=tmp_path / "log")
