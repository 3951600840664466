"""The GitOps engine of a plex, and the source of its apps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class GitopsEngine(StrEnum):
    FLUX = "flux"
    ARGOCD = "argocd"


class SourceKind(StrEnum):
    REGISTRY = "registry"  # the lab's registry, with artifacts of `plexctl flux push`
    SSH = "ssh"  # git with a deploy key derived from the seed
    HTTPS = "https"  # git, with a token where one is stored
    OCI = "oci"  # an artifact in another registry


@dataclass(frozen=True, slots=True)
class AppSource:
    """The source of a plex' apps."""

    kind: SourceKind
    url: str  # empty for REGISTRY
    branch: str | None = None  # of git
    tag: str | None = None  # of git and of artifacts
    semver: str | None = None  # of artifacts: a range
    known_hosts: Path | None = None  # of SSH: lines as ssh-keyscan prints them
    user: str = "git"  # owner of the token
    ca: Path | None = None  # of HTTPS and OCI: CAs in PEM, instead of the public ones
    verify: Path | None = None  # public keys: OpenPGP for git, cosign for artifacts


@dataclass(frozen=True, slots=True)
class Gitops:
    """The `gitops` of a plex file."""

    engine: GitopsEngine
    source: AppSource
    path: str  # folder in the source that is applied first: "clusters/demo"
    interval: int  # seconds between reads of the source, and between reconciliations
