"""Whether the registry of a lab and the sources of apps fit to the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plexctl.config.draft import Draft, Drafts
from plexctl.config.fields import GitopsFields, PlexFields
from plexctl.config.host_fields import HostsFields
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
"""Fields that only some sources have."""


def check_registry(drafts: Drafts) -> None:
    """Report a plex with the name of the registry: their networks would be the same."""
    registry = drafts.hosts.fields.registry if drafts.hosts.fields else None
    if registry is not None and registry.name in drafts.plexes:
        drafts.hosts.source.report(
            ("registry", "name"),
            f"there is a plex {registry.name}",
            "give the registry another name",
        )


def check_gitops(drafts: Drafts, draft: Draft[PlexFields]) -> None:
    """Report fields of a source that do not go together, and files that are not there."""
    fields = draft.fields.gitops if draft.fields else None
    if fields is None or not draft.source.sound("gitops"):
        return
    kind = fields.source[0]
    hosts = drafts.hosts.fields
    if kind is SourceKind.REGISTRY and hosts is not None and hosts.registry is None:
        draft.source.report(
            ("gitops", "source"),
            "the lab has no registry",
            "write `registry: {}` in clusters/hosts.yaml, or name a git repository",
        )
    elif kind is SourceKind.REGISTRY and hosts is not None:
        _check_reached(draft, hosts)
    if fields.engine is GitopsEngine.ARGOCD:
        _check_argocd(draft, fields)
    for name, fitting in FITTING.items():
        if getattr(fields, name) is not None and kind not in fitting:
            draft.source.report(
                ("gitops", name),
                f"goes with sources of {' or '.join(fitting)}, not with {kind}",
                "leave it out",
            )
    chosen = [name for name in ("branch", "tag", "semver") if getattr(fields, name)]
    for name in chosen[1:]:
        draft.source.report(("gitops", name), f"there is `{chosen[0]}` already", "name one of them")
    if kind is SourceKind.SSH and fields.known_hosts is None:
        host = fields.source[1].split("/")[2].rpartition("@")[2].partition(":")[0]
        draft.source.report(
            ("gitops", "known_hosts"),
            "is missing: without host keys anyone could be the server",
            f"`ssh-keyscan {host} > clusters/known_hosts`, and name that file",
        )
    for name, path in _files(drafts.root, fields):
        if not path.is_file():
            draft.source.report(("gitops", name), f"there is no file {path}")


def _check_reached(draft: Draft[PlexFields], hosts: HostsFields) -> None:
    """Report a plex on a bridge where no host is this machine, whose registry it would ask."""
    assert draft.fields is not None, draft.source.file
    here = any(host.url is None for host in hosts.hosts.values())
    if draft.fields.networks.link is Link.BRIDGE and not here:
        draft.source.report(
            ("gitops", "source"),
            "from a bridge the registry of this machine is asked, and no host is this machine",
            "name a git repository, or an artifact that is elsewhere",
        )


def _check_argocd(draft: Draft[PlexFields], fields: GitopsFields) -> None:
    """Report what only Flux does."""
    if fields.source[0] not in GIT:
        draft.source.report(
            ("gitops", "source"),
            "Argo CD reads git only",
            "name an ssh:// or https:// repository; it decrypts nothing: secrets of SOPS in it"
            " stay as they are",
        )
    if fields.verify is not None:
        draft.source.report(
            ("gitops", "verify"), "Argo CD checks no signatures here", "leave it out, or take Flux"
        )
    if fields.path is not None:
        draft.source.report(
            ("gitops", "path"),
            "is Flux': Argo CD applies each app that has an apps/<app>/config.yml",
            "leave it out",
        )


def _files(root: Path, fields: GitopsFields) -> Iterator[tuple[str, Path]]:
    for name in ("known_hosts", "ca", "verify"):
        if path := getattr(fields, name):
            yield name, root / path
