"""The test provider treats identifiers, configurations and answers as the real one does."""

from __future__ import annotations

from typing import Any

import pytest

from ...provider.incus.common import Object, Remotes
from ...provider.incus.provider import SERVED
from ...provider.resource import RefusedError
from ...provider.wire import null, recorded


def resource(name: str) -> Object:
    return SERVED[name](name, recorded("incus")["resource_schemas"][name]["block"], Remotes())


def config(name: str, **values: Any) -> dict[str, Any]:
    return null(resource(name).block) | values


@pytest.mark.parametrize(
    ("name", "identifier", "found"),
    [
        ("incus_network", "local:n", {"remote": "local", "project": None, "name": "n"}),
        ("incus_network", "n", {"remote": None, "project": None, "name": "n"}),
        ("incus_network_acl", "local:n", {"remote": "local", "project": None, "name": "n"}),
        ("incus_profile", "local:p/n", {"remote": "local", "project": "p", "name": "n"}),
        ("incus_profile", "local:n", {"remote": "local", "project": "default", "name": "n"}),
        (
            "incus_storage_volume",
            "local:/pool/n",
            {"remote": "local", "project": None, "pool": "pool", "name": "n", "type": "custom"},
        ),
        (
            "incus_instance",
            "local:n,image=i",
            {"remote": "local", "project": None, "name": "n", "image": "i"},
        ),
    ],
)
def test_an_import_identifier(name: str, identifier: str, found: dict[str, str]) -> None:
    assert resource(name).import_(identifier) == found


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("incus_instance", ""),
        ("incus_instance", "local:n,size=3"),
        ("incus_storage_volume", "local:n"),
        ("incus_network", "local:p/"),
    ],
)
def test_a_wrong_import_identifier(name: str, identifier: str) -> None:
    with pytest.raises(RefusedError):
        resource(name).import_(identifier)


def test_keys_that_a_host_sets_itself_are_no_drift() -> None:
    seen = {"user.plex.lab": "x", "volatile.uuid": "1", "image.os": "debian", "limits.cpu": ""}
    instance = resource("incus_instance")

    shown = instance.shown(seen, config("incus_instance", config={"user.plex.lab": "x"}))

    assert shown == {"user.plex.lab": "x"}


def test_a_key_that_nobody_wants_is_drift() -> None:
    instance = resource("incus_instance")

    assert instance.shown({"limits.memory": "1GiB"}, config("incus_instance")) == {
        "limits.memory": "1GiB"
    }


def test_a_change_keeps_keys_that_a_host_sets_itself() -> None:
    seen = {"user.a": "1", "volatile.uuid": "1"}
    instance = resource("incus_instance")

    merged = instance.merged(seen, config("incus_instance", config={"user.b": "2"}))

    assert merged == {"user.b": "2", "volatile.uuid": "1"}


FILE = {"source_path": "/boot.tar", "target_path": "/var/lib/plexctl/boot.tar"}


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("incus_instance", {"file": [FILE], "running": False}, "running instances"),
        (
            "incus_instance",
            {"file": [FILE], "type": "virtual-machine", "wait_for": []},
            '"agent" is required',
        ),
        ("incus_instance", {"config": {"volatile.uuid": "1"}}, "volatile.uuid"),
        (
            "incus_profile",
            {"device": [{"name": "eth0", "type": "nic", "properties": {"parent": ""}}]},
            "device eth0: parent is empty",
        ),
        ("incus_network", {"config": {"ipv4.address": "auto"}}, "ipv4.address"),
        ("incus_network_acl", {"ingress": [{"action": "accept"}]}, "ingress: accept"),
    ],
)
def test_an_error_is_reported_before_any_change(
    name: str, values: dict[str, Any], reason: str
) -> None:
    wrong = resource(name).check(config(name, **values))

    assert len(wrong) == 1
    assert reason in wrong[0]


def test_a_host_that_is_not_declared() -> None:
    remotes = Remotes()
    remotes.configure(
        {"config_dir": None, "default_remote": None, "remote": [{"name": "a", "address": ""}]}
    )

    with pytest.raises(RefusedError, match="no remote 'b'"):
        remotes.server({"remote": "b"})
