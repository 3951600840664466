"""Checks of a lab's registry, and of the sources of apps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from plexctl.config.draft import Draft, Drafts
from plexctl.config.fields import GitopsFields, PlexFields
from plexctl.config.host_fields import HostsFields
from plexctl.config.values.sources import OCI_TAG
from plexctl.model.gitops import GitopsEngine, SourceKind
from plexctl.model.plex import Link

GIT = (SourceKind.SSH, SourceKind.HTTPS)
FITTING = {
    "branch": GIT,
    "tag": (*GIT, SourceKind.OCI),
    "semver": (SourceKind.OCI,),
    "known_hosts": (SourceKind.SSH,),
    "user": (SourceKind.HTTPS, SourceKind.OCI),
    "ca": (SourceKind.HTTPS, SourceKind.OCI),
    "verify": (*GIT, SourceKind.OCI),
}
"""Fields that apply to some kinds of sources only."""


def check_registry(drafts: Drafts) -> None:
    """Report a registry with the name of a plex: their bridges would have one name."""
    registry = drafts.hosts.fields.registry if drafts.hosts.fields else None
    if registry is not None and registry.name in drafts.plexes:
        drafts.hosts.source.report(
            ("registry", "name"),
            f"a plex is named '{registry.name}' too",
            "give the registry another name",
        )


def check_gitops(drafts: Drafts, draft: Draft[PlexFields]) -> None:
    """Report fields of a source that exclude each other, and files that do not exist."""
    fields = draft.fields.gitops if draft.fields else None
    if fields is None or not draft.source.sound("gitops"):
        return
    kind = fields.source[0]
    hosts = drafts.hosts.fields
    if kind is SourceKind.REGISTRY and hosts is not None and hosts.registry is None:
        draft.source.report(
            ("gitops", "source"),
            "must be a URL: the lab has no registry",
            "add `registry: {}` to clusters/hosts.yaml, or use the URL of a git repository",
        )
    elif kind is SourceKind.REGISTRY and hosts is not None:
        _check_reached(draft, hosts)
    if fields.engine is GitopsEngine.ARGOCD:
        _check_argocd(draft, fields)
    for name, fitting in FITTING.items():
        if getattr(fields, name) is not None and kind not in fitting:
            draft.source.report(
                ("gitops", name),
                f"applies to {' and '.join(fitting)} sources only, not to {kind}",
                "remove it",
            )
    chosen = [name for name in ("branch", "tag", "semver") if getattr(fields, name)]
    for name in chosen[1:]:
        draft.source.report(
            ("gitops", name), f"cannot be combined with `{chosen[0]}`", "remove one of them"
        )
    if kind is SourceKind.OCI and fields.tag and not re.fullmatch(OCI_TAG, fields.tag):
        draft.source.report(
            ("gitops", "tag"),
            f"'{fields.tag}' is not the tag of an OCI artifact",
            "use at most 128 letters, digits, -, _ and .",
        )
    if kind is SourceKind.SSH and fields.known_hosts is None:
        host = fields.source[1].split("/")[2].rpartition("@")[2].partition(":")[0]
        draft.source.report(
            ("gitops", "known_hosts"),
            "is required for an ssh source: it has the host keys of the server",
            f"run `ssh-keyscan {host} > clusters/known_hosts`, and write "
            "`known_hosts: clusters/known_hosts`",
        )
    for name, path in _files(drafts.root, fields):
        if not path.is_file():
            draft.source.report(
                ("gitops", name),
                f"there is no file {path}",
                "write a path from the folder of the lab",
            )


def _check_reached(draft: Draft[PlexFields], hosts: HostsFields) -> None:
    """Report a plex on a bridge of its hosts if no host is this machine.

    Its nodes pull from the registry of this machine, since a router leads there.
    """
    assert draft.fields is not None, draft.source.file
    here = any(host.url is None for host in hosts.hosts.values())
    if draft.fields.networks.link is Link.BRIDGE and not here:
        draft.source.report(
            ("gitops", "source"),
            "cannot be `registry`: with `link: bridge`, nodes use the registry of this machine, "
            "but no host is this machine",
            "use the URL of a git repository or of an artifact",
        )


def _check_argocd(draft: Draft[PlexFields], fields: GitopsFields) -> None:
    """Report settings that only Flux supports."""
    if fields.source[0] not in GIT:
        draft.source.report(
            ("gitops", "source"),
            "must be a git repository for Argo CD",
            "use an ssh:// or https:// URL; note that Argo CD does not decrypt Secrets of SOPS",
        )
    if fields.verify is not None:
        draft.source.report(
            ("gitops", "verify"),
            "does not apply to Argo CD, which checks no signatures here",
            "remove it, or use `engine: flux`",
        )
    if fields.path is not None:
        draft.source.report(
            ("gitops", "path"),
            "applies to Flux only: Argo CD applies each app with an apps/<app>/config.yml",
            "remove it",
        )


def _files(root: Path, fields: GitopsFields) -> Iterator[tuple[str, Path]]:
    for name in ("known_hosts", "ca", "verify"):
        if path := getattr(fields, name):
            yield name, root / path
