"""The text of results about the lab's registry."""

from __future__ import annotations

from dataclasses import replace

from plexctl.provision.change import Action
from plexctl.render import registry_text
from plexctl.results.changes import ChangeRow
from plexctl.results.registry import RegistryResult, RegistryRow, RegistryUpResult

HEALTHY = RegistryResult(
    registry="registry",
    endpoint="10.64.63.2:5000",
    healthy=True,
    upstreams={"docker.io": "https://registry-1.docker.io"},
    hosts=(RegistryRow("local", "Running", "answers", 5 << 20),),
    repositories=("plexctl/demo",),
)


def test_status_shows_hosts_upstreams_and_pushed_artifacts() -> None:
    assert registry_text.status(HEALTHY) == (
        "HOST   STATUS   USED\n"
        "local  Running  5.0 MiB\n"
        "\n"
        "CACHE OF   UPSTREAM\n"
        "docker.io  https://registry-1.docker.io\n"
        "\n"
        "pushed: plexctl/demo\n"
        "registry: healthy; 1 pushed artifact at https://10.64.63.2:5000"
    )


def test_status_shows_why_the_registry_is_unhealthy() -> None:
    other = RegistryRow("second", "Running", "it does not answer", 0)
    unreachable = replace(HEALTHY, healthy=False, hosts=(*HEALTHY.hosts, other), repositories=())
    assert registry_text.status(unreachable).endswith(
        "registry: unhealthy\n  host second: it does not answer"
    )


def test_status_shows_how_to_create_a_missing_registry() -> None:
    missing = replace(
        HEALTHY, healthy=False, hosts=(RegistryRow("local", "missing", "does not run", None),)
    )
    assert registry_text.status(missing).endswith(
        "registry: not created; `plexctl registry up` creates it"
    )


def test_up_shows_changes_and_the_address() -> None:
    change = ChangeRow(Action.CREATE, "instance", "registry", "local", "missing")
    done = RegistryUpResult("registry", "10.64.63.2:5000", (change,), "run")
    assert registry_text.up(done) == "registry: 1 created; it is at https://10.64.63.2:5000"
