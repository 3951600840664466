"""Onboard a machine of each kind as a host. No other module of `workflow` distinguishes kinds."""

from __future__ import annotations

from typing import Protocol

from plexctl.clients.incus.trust import shown_fingerprint
from plexctl.model.kinds import HostKind
from plexctl.results.hosts import HostResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.host.declaration import full_url
from plexctl.workflow.host.incus import IncusOnboarding
from plexctl.workflow.host.proxmox import ProxmoxOnboarding
from plexctl.workflow.host.request import HostRequest, PreparedHost


class Onboarding(Protocol):
    """The steps of `host add` and `host prepare` that differ between kinds of hosts."""

    @property
    def port(self) -> int:
        """The port of the API if a URL has none."""

    def client_name(self, short_id: str) -> str:
        """The lab's name on a host: of its certificate, or of its API token."""

    def check(self, request: HostRequest) -> None:
        """UsageError for a request that this kind cannot fulfil."""

    def changes(self, request: HostRequest) -> list[str]:
        """The objects that the role sets up on this kind of host only: "storage pool default"."""

    def trusts(self, ctx: Context, request: HostRequest) -> bool:
        """Whether the host accepts the lab already, so that it needs no new token."""

    def joins(self, request: HostRequest) -> bool:
        """Whether the prepared machine becomes a host of the lab."""

    def join(
        self, ctx: Context, request: HostRequest, prepared: PreparedHost, node: str | None
    ) -> HostResult:
        """Add the prepared machine to the lab. `node` is its name in a Proxmox cluster."""


def onboarding(kind: HostKind) -> Onboarding:
    match kind:
        case HostKind.INCUS:
            return IncusOnboarding()
        case HostKind.PROXMOX:
            return ProxmoxOnboarding()


def fingerprint_of(url: str, kind: HostKind) -> tuple[str, str]:
    """(URL in full, SHA-256 of the certificate that the server there shows)."""
    whole = full_url(url, onboarding(kind).port)
    return whole, shown_fingerprint(whole)
