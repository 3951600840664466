"""The lab's tree as one artifact: what `plexctl flux push` sends."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
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
from plexctl.workflow.gitops.secrets import FOLDERS, plain_secrets
from plexctl.workflow.registry.verbs import door

LEFT_OUT = ("hosts.yaml", "plex.yaml")
"""plexctl's own files: a plex that is scaled has the same apps."""

CONFIG_TYPE = "application/vnd.cncf.flux.config.v1+json"
CONTENT_TYPE = "application/vnd.cncf.flux.content.v1.tar+gzip"


def push_tree(ctx: Context, plex: Plex, run: Run) -> tuple[str, bool]:
    """Push the lab's tree for `plex`; its digest, and whether it was new to any registry.

    A host that does not answer is left out, unless it is the first. PlexError if a Secret in the
    tree is not encrypted: nothing is pushed then.
    """
    registry = ctx.lab.registry
    assert registry is not None and plex.gitops is not None, plex.name
    layer = Part(CONTENT_TYPE, pack_tree(ctx.lab.root, plex.gitops.path))
    name, config = repository(plex.name), Part(CONFIG_TYPE, b"{}")
    hosts = _hosts(ctx, plex)

    def push(host: str) -> tuple[str, bool]:
        try:
            return door(ctx, registry, host).push(name, TAG, config, layer)
        except UnreachableHostError:
            if host == hosts[0]:
                raise
            return "", False

    with run.step("push apps/ and clusters/ to the lab's registry") as step:
        with ThreadPoolExecutor() as pool:
            pushed = list(pool.map(push, hosts))
        digest, new = pushed[0][0], any(new for _, new in pushed)
        step.end(Outcome.CHANGED if new else Outcome.UNCHANGED, short(digest))
    return digest, new


def _hosts(ctx: Context, plex: Plex) -> tuple[str, ...]:
    """Those whose registry a node of `plex` asks, its master's first.

    From a bridge that was there before, a router leads to the one of this machine, if to any.
    """
    if plex.networks.link is Link.OWN:
        return plex.hosts
    return tuple(name for name, host in ctx.lab.hosts.items() if host.local)


def pack_tree(root: Path, path: str) -> bytes:
    """apps/ and clusters/ of the lab at `root`, the same bytes for the same files.

    PlexError if the folder `path`, which is applied first, is no Kustomization, and if a Secret
    is not encrypted.
    """
    if not (root / path / "kustomization.yaml").is_file():
        raise PlexError(
            f"{root / path} has no kustomization.yaml: there is nothing to apply",
            hint="`plexctl init --gitops` writes a tree to begin with",
        )
    if plain := plain_secrets(root):
        raise PlexError(
            "a Secret is not encrypted; nothing was pushed",
            details=(f"{file}:{line}: Secret {name}" for file, line, name in plain),
            hint="`plexctl secret encrypt FILE`",
        )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in _files(root):
            member = tarfile.TarInfo(file.relative_to(root).as_posix())
            content = file.read_bytes()
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _files(root: Path) -> Iterator[Path]:
    """What Flux may see; no key of the lab, whatever it is encrypted with."""
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
            own = file.suffix == ".age" or file.name in LEFT_OUT
            if file.is_file() and not hidden and not own:
                yield file
