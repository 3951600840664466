"""Calls to Proxmox VE: credentials, retries and errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.secret import Secret
from tests.fake_pve import FakePve
from tests.proxmox import SECRETS, TEMPLATE, client_of, with_template

from .tls_server import Server, serving

OURS = {"lab": "lab1", "plex": "demo", "image": TEMPLATE}


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.02, clone_seconds=0.1) as fake:
        yield fake


@pytest.fixture
def server(pve: FakePve) -> ProxmoxHost:
    return client_of(pve)


def test_a_privilege_that_is_missing_is_named_with_its_path(pve: FakePve) -> None:
    template = with_template(client_of(pve))
    rights = ["VM.Audit", "VM.Allocate", "Datastore.AllocateSpace", "Sys.Audit"]
    poor = client_of(pve, rights)
    with pytest.raises(PlexError) as error:
        poor.vms.clone(template, "demo1", OURS, linked=True)

    assert error.value.summary == (
        f"host pve1 cannot clone template {template} as demo1: the token plexctl@pve!lab lacks "
        f"VM.Clone on /vms/{template}"
    )
    assert f"pveum acl modify /vms/{template} --users plexctl@pve " in str(error.value.hint)


def test_the_error_for_a_refused_token_says_how_to_store_another(pve: FakePve) -> None:
    server = ProxmoxHost(client_of(pve).spec, Secret(b"wrong"))
    with pytest.raises(PlexError) as error:
        server.read()

    assert error.value.summary.startswith("host pve1 refuses the API token plexctl@pve!lab: ")
    assert "wrong" not in str(error.value.summary)


@pytest.mark.parametrize("status", [595, 596])
def test_a_node_that_is_unreachable_for_a_moment_is_no_failure(
    pve: FakePve, server: ProxmoxHost, status: int
) -> None:
    pve.fail_next("GET", r"/qemu$", status, "Connection timed out", count=2)

    assert server.read().instances == {}


@pytest.mark.parametrize("clock_offset", [0.0, 3600.0])
def test_the_clock_of_a_server_is_compared_without_a_further_call(
    pve: FakePve, server: ProxmoxHost, clock_offset: float
) -> None:
    server.read()
    asked = len(pve.requests)
    pve.clock_offset = clock_offset
    again = ProxmoxHost(server.spec, Secret(SECRETS[pve.port].encode()))

    assert again.read().clock_offset == pytest.approx(clock_offset, abs=5)
    assert len(pve.requests) == 2 * asked
    assert again.version().startswith("9.")


def test_a_node_that_stays_unreachable_is_an_error_in_bounded_time(pve: FakePve) -> None:
    server = client_of(pve, reach=1)
    pve.node_down("pve1")
    for _ in range(2):
        with pytest.raises(UnreachableHostError) as error:
            server.read()
    asked = len(pve.requests)
    with pytest.raises(UnreachableHostError):
        server.read()

    assert error.value.summary.startswith("host pve1: node pve1 cannot be reached from https://")
    assert error.value.details == ("last observed: 595 No route to host",)
    assert len(pve.requests) == asked  # who is known to be silent is not asked again


def test_only_reads_are_repeated_after_a_lost_answer(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    pve.fail_next("GET", r"/qemu$", 0, "", count=2)
    assert server.read().images
    pve.fail_next("POST", r"/clone$", 596, "Broken pipe", after=True)
    with pytest.raises(PlexError, match="was lost"):
        server.vms.clone(template, "demo1", OURS, linked=True)

    server.vms.clone(template, "demo1", OURS, linked=True)
    assert sum(vm.name == "demo1" for vm in pve.vms.values()) == 1


def test_an_answer_that_breaks_off_counts_as_lost(server: ProxmoxHost) -> None:
    with serving(Server(missing=10)) as broken:
        pin = broken.fingerprint
        host = replace(server.spec, url=broken.url, certificate=pin)
        with pytest.raises(PlexError, match="was lost"):
            ProxmoxHost(host, Secret(b"secret")).guests.configure(9000, {}, {})
        with pytest.raises(UnreachableHostError) as error:
            ProxmoxHost(host, Secret(b"secret")).pool_free()

    assert error.value.details == ("the connection broke",)
    assert [method for method, _, _ in broken.asked] == ["PUT", "GET", "GET", "GET"]


def test_only_the_pinned_certificate_is_accepted(pve: FakePve) -> None:
    good = client_of(pve)
    server = ProxmoxHost(replace(good.spec, certificate="00" * 32), Secret(b"secret"))
    with pytest.raises(UnreachableHostError, match="another certificate"):
        server.read()

    assert pve.requests == []


def test_the_secret_is_in_a_header_and_nowhere_else(
    pve: FakePve, server: ProxmoxHost, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        server.vms.clone(with_template(server), "demo1", OURS, linked=True)
        server.storage.upload_iso("plex-seed-lab1-demo1.iso", b"keys")
    secret = SECRETS[pve.port]

    assert secret not in caplog.text
    assert secret not in repr(vars(server))
    for request in pve.requests:
        assert secret not in json.dumps([request.path, _plain(request.params)])
        assert {k for k, v in request.headers.items() if secret in v} == {"authorization"}


def _plain(params: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in params.items()}
