"""How nodes are named, and how they are reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.clients import process
from plexctl.model.command import CommandResult

from .conftest import Plexctl


@pytest.fixture
def argv(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The program that plexctl has become."""
    program: list[str] = []

    def become(words: list[str]) -> None:
        program[:] = words
        raise SystemExit(0)

    monkeypatch.setattr("plexctl.clients.process.replace", become)
    return program


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """The programs that nodes were asked to run; each answers with its name, and with code 7."""
    calls: list[tuple[str, tuple[str, ...]]] = []

    def execute(self: object, name: str, argv: tuple[str, ...], *, timeout: float) -> CommandResult:
        calls.append((name, argv))
        return CommandResult(argv, 0 if argv[0] == "journalctl" else 7, f"out of {name}\n", "err\n")

    monkeypatch.setattr("plexctl.clients.incus.host.IncusHost.execute", execute)
    return calls


def test_ssh_uses_only_what_the_lab_has(plexctl: Plexctl, lab: Path, argv: list[str]) -> None:
    assert plexctl("ssh", "alpha2").code == 0
    folder = lab / ".plexctl" / "plexes" / "alpha"
    assert argv == ["ssh", "-F", str(folder / "ssh_config"), "-o", "ConnectTimeout=10", "alpha2"]
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_arguments_after_two_dashes_belong_to_the_command(
    plexctl: Plexctl, lab: Path, argv: list[str], asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    plexctl("ssh", "master", "--plex", "alpha", "--", "ls", "-l", "--plex", "x")
    assert argv[5:] == ["alpha1", "--", "ls", "-l", "--plex", "x"]
    plexctl("exec", "alpha3", "--", "ls", "--help")
    assert asked == [("alpha3", ("ls", "--help"))]


def test_exec_ends_with_the_programs_code(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    ended = plexctl("exec", "beta1", "--", "false")
    assert (ended.code, ended.out, ended.err) == (7, "out of beta1\n", "err\n")


def test_exec_and_logs_answer_in_json(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    ended = plexctl("exec", "beta1", "--json", "--", "false", "--json")
    assert ended.code == 7
    assert json.loads(ended.out) == {
        "version": 1,
        "argv": ["false", "--json"],
        "code": 7,
        "stdout": "out of beta1\n",
        "stderr": "err\n",
    }
    shown = plexctl("logs", "beta1", "-u", "kubelet", "--json")
    assert json.loads(shown.out) == {
        "version": 1,
        "node": "beta1",
        "unit": "kubelet",
        "lines": ["out of beta1"],
    }
    endless = plexctl("logs", "beta1", "-f", "--json")
    assert (endless.code, "--follow and --json exclude each other" in endless.err) == (2, True)


def test_logs_of_a_unit_and_followed(
    plexctl: Plexctl, lab: Path, argv: list[str], asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    shown = plexctl("logs", "alpha1", "--unit", "kubelet", "--lines", "5")
    assert (shown.code, shown.out) == (0, "out of alpha1\n")
    assert asked == [("alpha1", ("journalctl", "--no-pager", "--lines=5", "--unit=kubelet"))]
    plexctl("logs", "alpha1", "-u", "kubelet", "-f")
    assert argv[5:7] == ["alpha1", "--"]
    assert argv[-2:] == ["--unit=kubelet", "--follow"]


def test_the_name_of_a_node_selects_its_plex(
    plexctl: Plexctl, lab: Path, asked: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Also against the current plex: no two plexes can have nodes of one name."""
    plexctl("use", "alpha")
    for name in ("beta1", "master"):
        plexctl("exec", name, "--", "true")
    assert [node for node, _ in asked] == ["beta1", "alpha1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("alpha9",), "no plex is named"),
        (("alpha9", "--plex", "alpha"), "plex alpha has no node alpha9"),
        (("beta1", "--plex", "alpha"), "plex alpha has no node beta1"),
        (("master",), "no plex is named"),
    ],
)
def test_unknown_nodes(plexctl: Plexctl, lab: Path, names: tuple[str, ...], said: str) -> None:
    ended = plexctl("logs", *names)
    assert ended.code == 2
    assert said in ended.err


def test_nodes_of_two_plexes_are_not_replaced_together(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("replace", "alpha2", "beta1", "-y")
    assert ended.code == 2
    assert "plex alpha has no node beta1" in ended.err


def test_the_shell_of_a_node_runs_nothing_from_the_name_of_a_unit(
    plexctl: Plexctl, lab: Path, argv: list[str], tmp_path: Path
) -> None:
    """`plexctl logs NODE --follow --unit 'x; touch /tmp/injected; #'` ran touch on the node."""
    evil = f"x; touch {tmp_path}/injected; #"
    plexctl("logs", "alpha1", "--follow", "--unit", evil)
    command = " ".join(argv[argv.index("--") + 1 :])  # as ssh hands it over
    shell = f"journalctl() {{ printf '%s\\n' \"$@\"; }}; {command}"
    printed = process.run(("/bin/sh", "-c", shell), timeout=10).stdout.splitlines()
    assert f"--unit={evil}" in printed
    assert not (tmp_path / "injected").exists()
