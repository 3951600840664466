"""Apps from the lab's registry where the master is on another machine, with a registry of its own.

That one has the same address as this machine's: what is pushed must be in both.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .gitops_lab import APP, PLEX, REGISTRY, GitopsLab, make_gitops_lab
from .nested import NestedHost


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory, far: NestedHost) -> Iterator[GitopsLab]:
    with make_gitops_lab(tmp_path_factory, far) as gitops_lab:
        yield gitops_lab


def test_up_brings_the_apps_there(afar: GitopsLab) -> None:
    assert afar.hello().startswith(APP)
    assert afar.secret() == afar.canary
    assert set(afar.states().values()) == {"ready"}
    status = afar.lab.ask("registry", "status")
    assert {row["host"]: row["api"] for row in status["hosts"]} == {
        "local": "answers",
        "second": "answers",
    }
    assert status["repositories"] == [f"plexes/{PLEX}"]


def test_a_second_up_changes_nothing(afar: GitopsLab) -> None:
    assert "nothing to do" in afar.lab.run("up", PLEX).out


def test_a_push_is_live_there(afar: GitopsLab) -> None:
    file = afar.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("hello from", "greetings from"))
    afar.push()
    assert afar.greeting() == f"greetings from {PLEX}"


def test_no_request_and_no_password_stays_on_the_node(afar: GitopsLab, far: NestedHost) -> None:
    assert "plexctl-" not in far.run("incus", "exec", REGISTRY, "--", "ls", "/run")


def test_an_unreachable_host_is_reported_and_the_next_push_repairs_it(
    afar: GitopsLab, far: NestedHost
) -> None:
    far.freeze()
    try:
        file = afar.tree / "apps" / APP / "config.yaml"
        file.write_text(file.read_text().replace("greetings", "best wishes"))
        message = afar.push(code=1).err
    finally:
        far.thaw()
    assert f"error: host second: Incus at {far.url} does not answer\n" in message
    assert "Traceback" not in message
    afar.push()
    assert afar.greeting() == f"best wishes from {PLEX}"
