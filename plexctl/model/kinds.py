"""The words that a user chooses from, apart: the command line loads little else of the model."""

from __future__ import annotations

from enum import StrEnum


class HostKind(StrEnum):
    INCUS = "incus"
    PROXMOX = "proxmox"


class Repository(StrEnum):
    """Where a host gets Incus from."""

    AUTO = "auto"  # as fits the system
    DISTRIBUTION = "distribution"
    BACKPORTS = "backports"
    ZABBLY = "zabbly"


class ProvisionEngine(StrEnum):
    """What makes a plex's objects on the hosts."""

    DIRECT = "direct"  # plexctl itself
    TOFU = "tofu"  # OpenTofu or Terraform
