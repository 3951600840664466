"""URLs of hosts as users type them."""

from __future__ import annotations

import pytest

from plexctl.errors import UsageError
from plexctl.model.kinds import HostKind
from plexctl.workflow.host.declaration import full_url
from plexctl.workflow.host.onboarding import onboarding


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
    assert full_url(url, 8443) == whole


def test_each_kind_of_host_has_a_port_of_its_own() -> None:
    assert onboarding(HostKind.PROXMOX).port == 8006
    assert onboarding(HostKind.INCUS).port == 8443


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a/b", "", "https://a:b", "https://u:p@a", "a:99999"]
)
def test_other_text_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a host"):
        full_url(url, 8443)
