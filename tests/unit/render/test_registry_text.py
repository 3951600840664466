"""What people read of the lab's registry."""

from __future__ import annotations

from dataclasses import replace

from plexctl.provision.change import Action
from plexctl.render.text import text
from plexctl.results.plex import ChangeRow
from plexctl.results.registry import RegistryResult, RegistryRow, RegistryUpResult

WELL = RegistryResult(
    registry="registry",
    endpoint="10.64.63.2:5000",
    healthy=True,
    upstreams={"docker.io": "https://registry-1.docker.io"},
    hosts=(RegistryRow("local", "Running", "answers", 5 << 20),),
    repositories=("plexctl/demo",),
)


def test_status_shows_hosts_upstreams_and_what_was_pushed() -> None:
    assert text(WELL) == (
        "HOST   STATUS   USED\n"
        "local  Running  5.0 MiB\n"
        "\n"
        "CACHE OF   UPSTREAM\n"
        "docker.io  https://registry-1.docker.io\n"
        "\n"
        "pushed: plexctl/demo\n"
        "registry: all is well; 1 pushed artifact at https://10.64.63.2:5000"
    )


def test_status_says_what_is_wrong() -> None:
    other = RegistryRow("second", "Running", "it does not answer", 0)
    unreachable = replace(WELL, healthy=False, hosts=(*WELL.hosts, other), repositories=())
    assert text(unreachable).endswith("registry: not well\n  host second: it does not answer")


def test_status_says_how_to_make_what_is_not_there() -> None:
    missing = replace(
        WELL, healthy=False, hosts=(RegistryRow("local", "missing", "does not run", None),)
    )
    assert text(missing).endswith("registry: it is not there; `plexctl registry up` makes it")


def test_up_says_what_was_done_and_where_it_is() -> None:
    change = ChangeRow(Action.CREATE, "instance", "registry", "local", "missing")
    done = RegistryUpResult("registry", "10.64.63.2:5000", (change,), "run")
    assert text(done) == "registry: 1 created; it is at https://10.64.63.2:5000"
