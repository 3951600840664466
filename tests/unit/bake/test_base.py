"""Where packages come from, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.bake import base
from plexctl.bake.base import bake_network, install_packages, machine_mirror, root_image
from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.types import BaseSource
from tests.fake_incus import FakeIncus
from tests.null_reporter import NullReporter

from .host import BASE, LAB

SOURCES = """\
Types: deb deb-src
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_the_mirror_of_this_machine_is_found_in_both_formats(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "other.list").write_text("deb https://packages.example/apt stable main\n")
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] https://one.example/debian trixie main contrib\n"
    )
    (parts / "debian.sources").write_text(SOURCES)

    assert machine_mirror("trixie", tmp_path) == "https://one.example/debian"
    assert machine_mirror("bookworm", tmp_path) == "http://mirror.example/debian"
    assert machine_mirror("noble", tmp_path) is None


def test_a_machine_without_apt_has_no_mirror(tmp_path: Path) -> None:
    assert machine_mirror("bookworm", tmp_path / "none") is None


@pytest.fixture
def argv(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The calls; debootstrap prints two lines and succeeds if its release exists."""
    calls: list[list[str]] = []

    def run(argv: Any, **_: Any) -> None:
        calls.append([str(word) for word in argv])

    def stream(argv: Any, on_line: Callable[[str], None], **_: Any) -> int:
        run(argv)
        on_line("I: Retrieving InRelease")
        on_line("I: Base system installed successfully.")
        return 0 if "bookworm" in calls[-1] else 1

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "stream", stream)
    monkeypatch.setattr(base, "machine_mirror", lambda release: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def test_debootstrap_checks_signatures_and_ends_in_time_or_with_its_parent(
    argv: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    incus = FakeIncus()
    monkeypatch.setattr(incus.images, "upload", lambda archive: archive.name)

    archive = root_image(incus, BASE, {"plexctl.lab": "x"}, tmp_path, NullReporter())

    call = argv[0]
    # Each in turn: what is killed does not tell what it has started.
    parent = ["setpriv", "--pdeathsig=KILL"]
    assert call[:8] == [*parent, "timeout", "--kill-after=10", "1800", *parent, "unshare"]
    assert {"--mount", "--pid", "--kill-child", "--force-check-gpg"} <= set(call)
    assert call[-1] == "https://deb.debian.org/debian"
    assert archive == "debian12.tar"
    # Without properties in it, an import has ended the server.
    assert "plexctl.lab: x" in (tmp_path / "metadata.yaml").read_text()


def test_a_mirror_that_fails_is_named_with_the_last_output_of_debootstrap(
    argv: list[list[str]], tmp_path: Path
) -> None:
    wrong = replace(BASE, release="bokworm", mirror="http://mirror.example/debian")

    with pytest.raises(PlexError, match=r"from http://mirror\.example/debian") as raised:
        root_image(FakeIncus(), wrong, {}, tmp_path, NullReporter())

    assert raised.value.details[0] == "I: Retrieving InRelease"


def test_debootstrap_without_root_is_refused_with_a_hint(
    argv: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(PlexError, match="needs root") as raised:
        root_image(FakeIncus(), BASE, {}, tmp_path, NullReporter())

    assert "source: images" in (raised.value.hint or "")
    assert argv == []


def test_an_error_of_apt_has_its_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    incus = FakeIncus()
    scripts: list[str] = []

    def execute(name: str, argv: tuple[str, ...], *, timeout: float) -> CommandResult:
        scripts.append(argv[-1])
        return CommandResult(argv, 100, "", "E: Unable to locate package systemd\n")

    monkeypatch.setattr(incus, "execute", execute)
    images = replace(BASE, source=BaseSource.IMAGES)

    with pytest.raises(PlexError, match="cannot install the packages") as raised:
        install_packages(incus, "i", images, bake_network(incus.spec, LAB))

    assert raised.value.details == ("E: Unable to locate package systemd",)
    assert scripts[0].endswith("install systemd")
