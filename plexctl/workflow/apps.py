"""What brings up the apps of a plex: put there by `up`, and asked by `flux`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyrage
import yaml

from plexctl.bootstrap import flux
from plexctl.clients.kube import Kube
from plexctl.depot.index import Stored
from plexctl.errors import PlexError
from plexctl.keys.age import identity_file, sops_identity, sops_recipient
from plexctl.keys.lab import LabKeys, deploy_key
from plexctl.model.apps import Apps
from plexctl.model.events import Outcome
from plexctl.model.files import write_private
from plexctl.model.gitops import Gitops, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.flux_install import install
from plexctl.plan.flux_sync import KINDS, SourceKeys, sync
from plexctl.workflow.context import Context
from plexctl.workflow.images import stored_components
from plexctl.workflow.run import Run
from plexctl.workflow.tree import push_tree

TOKEN = "git-token.age"  # noqa: S105 - the name of a file


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is applied to a plex once its API answers, made before there is one."""

    install: tuple[Document, ...]
    crds: tuple[Document, ...]
    sync: tuple[Document, ...]
    kind: str  # of the source
    digest: str | None  # of what was pushed; None: the source is somebody else's


def prepare(ctx: Context, plex: Plex, gitops: Gitops, run: Run) -> Delivery:
    """Push the lab's tree if that is the source, and compute all that is applied.

    The depot must have Flux: the node's image was made of it.
    """
    digest = None
    if gitops.source.kind is SourceKind.REGISTRY:
        with run.step("push apps/ and clusters/ to the lab's registry") as step:
            digest, new = push_tree(ctx, plex)
            step.end(Outcome.CHANGED if new else Outcome.UNCHANGED, flux.short(digest))
    stored = stored_components(ctx, ctx.pins.release(plex.kubernetes), ("flux",))
    if stored is None:
        raise PlexError("the depot has no Flux", hint="`plexctl depot fill`")
    return Delivery(
        install(plex, _images(ctx, plex, stored["flux"])),
        _crds(stored["flux"]),
        sync(plex, gitops, ctx.lab.registry, source_keys(ctx, plex, gitops)),
        KINDS[gitops.source.kind],
        digest,
    )


def deliver(kube: Kube, delivery: Delivery, run: Run) -> None:
    """Put Flux and its orders into the cluster; its API must answer."""
    with run.step("Flux") as step:
        changed = flux.install(kube, delivery.install, delivery.crds, delivery.sync)
        if delivery.digest is not None:
            flux.request(kube, delivery.kind)
        step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED)


def await_apps(kube: Kube, plex: Plex, delivery: Delivery, run: Run) -> Apps:
    """Wait until the apps are there, or fail for good."""
    return flux.SyncWatch(kube, plex.name, delivery.kind, run, delivery.digest).wait()


def source_keys(ctx: Context, plex: Plex, gitops: Gitops) -> SourceKeys:
    """What Flux decrypts, reaches and checks its source with."""
    source = gitops.source
    access: dict[str, Secret | bytes] = {}
    match source.kind:
        case SourceKind.REGISTRY:
            access = {"ca.crt": LabKeys.derive(ctx.seed).ca.pair.certificate}
        case SourceKind.SSH:
            key = deploy_key(ctx.seed, plex.name)
            assert source.known_hosts is not None, plex.name  # the configuration is checked for it
            access = {
                "identity": key.private,
                "identity.pub": f"{key.public}\n".encode(),
                "known_hosts": source.known_hosts.read_bytes(),
            }
        case SourceKind.HTTPS:
            if token := read_token(ctx, plex):
                access = {"username": b"git", "password": token}
        case SourceKind.OCI:
            pass  # what anyone may read
    verify = {source.verify.name: source.verify.read_bytes()} if source.verify else {}
    return SourceKeys(identity_file(ctx.seed, ctx.lab.secrets_epoch), access, verify)


def store_token(ctx: Context, plex: Plex, token: Secret) -> bool:
    """Keep what an https source is read with, encrypted for the lab; whether it is another one."""
    if read_token(ctx, plex) == token:
        return False
    recipient = sops_recipient(ctx.seed, ctx.lab.secrets_epoch)
    sealed = pyrage.encrypt(token.reveal(), [pyrage.x25519.Recipient.from_str(recipient)])
    write_private(plex.file.parent / TOKEN, sealed)
    return True


def read_token(ctx: Context, plex: Plex) -> Secret | None:
    file = plex.file.parent / TOKEN
    if not file.exists():
        return None
    identities = [
        pyrage.x25519.Identity.from_str(sops_identity(ctx.seed, epoch).reveal_text())
        for epoch in range(1, ctx.lab.secrets_epoch + 1)
    ]
    try:
        return Secret(bytes(pyrage.decrypt(file.read_bytes(), identities)))
    except pyrage.DecryptError as error:
        raise PlexError(
            f"{file} cannot be decrypted: {error}", hint="`plexctl flux token` stores it anew"
        ) from None


def _images(ctx: Context, plex: Plex, stored: Stored) -> Mapping[str, str]:
    """References of the controllers whose images the depot has."""
    component = ctx.pins.release(plex.kubernetes).component("flux")
    there = {artifact.name for artifact in stored.artifacts}
    return {
        name: image.reference for name, image in component.images.items() if f"{name}.tar" in there
    }


def _crds(stored: Stored) -> tuple[Document, ...]:
    documents: list[Document] = []
    for artifact in stored.artifacts:
        if artifact.name.endswith(".crds.yaml"):
            loaded = yaml.load_all(artifact.path.read_bytes(), yaml.CSafeLoader)
            documents += [document for document in loaded if document]
    return tuple(documents)
