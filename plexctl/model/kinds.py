"""Choices of command-line options. The command line loads little else of the model."""

from __future__ import annotations

from enum import StrEnum


class HostKind(StrEnum):
    INCUS = "incus"
    PROXMOX = "proxmox"


class Repository(StrEnum):
    """The package repository of Incus on a host."""

    AUTO = "auto"  # chosen by the system
    DISTRIBUTION = "distribution"
    BACKPORTS = "backports"
    ZABBLY = "zabbly"


class ProvisionEngine(StrEnum):
    """The program that creates the objects of a plex on the hosts."""

    DIRECT = "direct"  # plexctl itself
    TOFU = "tofu"  # OpenTofu or Terraform


class Cni(StrEnum):
    """What gives the pods of a plex their network."""

    STATIC = "static"  # point-to-point links and routes that are known beforehand
    NONE = "none"  # nothing: the user installs a CNI plugin
