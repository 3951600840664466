"""apps/ and clusters/ of the lab as one OCI artifact, which `plexctl flux push` pushes."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from plexctl.clients.registry.lab import Part
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.apps import short
from plexctl.model.events import Outcome
from plexctl.model.plex import Link, Plex
from plexctl.plan.gitops.flux_sync import TAG, repository
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.gitops.plain_secrets import plain_secrets
from plexctl.workflow.gitops.tree_files import tree_files
from plexctl.workflow.registry.verbs import registry_client

CONFIG_TYPE = "application/vnd.cncf.flux.config.v1+json"
CONTENT_TYPE = "application/vnd.cncf.flux.content.v1.tar+gzip"


def push_tree(ctx: Context, plex: Plex, run: Run) -> tuple[str, bool]:
    """Push the lab's tree for `plex`. Returns its digest, and whether any registry lacked it.

    Hosts that do not answer are skipped, except the first one. PlexError, before anything is
    pushed, if a Secret in the tree is not encrypted.
    """
    registry = ctx.lab.registry
    assert registry is not None and plex.gitops is not None, plex.name
    layer = Part(CONTENT_TYPE, pack_tree(ctx.lab.root, plex.gitops.path))
    name, config = repository(plex.name), Part(CONFIG_TYPE, b"{}")
    hosts = _hosts(ctx, plex)

    def push(host: str) -> tuple[str, bool]:
        try:
            return registry_client(ctx, registry, host).push(name, TAG, config, layer)
        except UnreachableHostError:
            if host == hosts[0]:
                raise
            return "", False

    with run.step("push apps/ and clusters/ to the registry of the lab") as step:
        with ThreadPoolExecutor() as pool:
            pushed = list(pool.map(push, hosts))
        digest, new = pushed[0][0], any(new for _, new in pushed)
        step.end(Outcome.CHANGED if new else Outcome.UNCHANGED, short(digest))
    return digest, new


def _hosts(ctx: Context, plex: Plex) -> tuple[str, ...]:
    """The hosts from whose registry nodes of `plex` pull, the master's host first.

    Nodes on a bridge of the host reach only the registry of this machine, through a router.
    """
    if plex.networks.link is Link.OWN:
        return plex.hosts
    return tuple(name for name, host in ctx.lab.hosts.items() if host.local)


def pack_tree(root: Path, path: str) -> bytes:
    """A tar.gz of apps/ and clusters/ of the lab at `root`: equal bytes for equal files.

    PlexError if the folder `path`, which Flux applies first, has no kustomization.yaml, or if a
    Secret is not encrypted or a file that Flux needs cannot be read; UsageError for what
    `tree_files` refuses.
    """
    files = tree_files(root)
    if posixpath.normpath(f"{path}/kustomization.yaml") not in files:
        raise PlexError(
            f"{root / path} has no kustomization.yaml: Flux has nothing to apply",
            hint="`plexctl init --gitops` writes the first files",
        )
    if plain := plain_secrets(files):
        raise PlexError(
            "nothing was pushed: a Secret is not encrypted, or a file cannot be read",
            details=(f"{root / one.file}:{one.line}: {one.message}" for one in plain),
            hint="encrypt a manifest: `plexctl secret encrypt FILE`; replace a generator or a patch"
            " by an encrypted manifest: `plexctl secret edit FILE`",
        )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file, content in files.items():
            member = tarfile.TarInfo(file)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
