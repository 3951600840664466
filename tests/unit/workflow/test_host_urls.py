"""Addresses of hosts as people type them."""

from __future__ import annotations

import pytest

from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind
from plexctl.workflow.host import verbs as hosts


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("10.0.0.7", "https://10.0.0.7:8443"),
        ("far.example:9443", "https://far.example:9443"),
        ("https://far.example/", "https://far.example:8443"),
        ("https://[fd00::7]", "https://[fd00::7]:8443"),
    ],
)
def test_a_url_is_completed(url: str, whole: str) -> None:
    assert hosts.full_url(url) == whole


def test_proxmox_has_a_port_of_its_own() -> None:
    assert hosts.full_url("10.0.0.7", HostKind.PROXMOX) == "https://10.0.0.7:8006"


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a/b", "", "https://a:b", "https://u:p@a", "a:99999"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a host"):
        hosts.full_url(url)
