"""The delivery of apps to a plex by Flux or Argo CD, as `up` does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from plexctl.bootstrap import argocd, flux
from plexctl.bootstrap import gitops as engines
from plexctl.clients.kube.client import Kube
from plexctl.depot.index import Stored
from plexctl.errors import PlexError
from plexctl.keys.age import identity_file, opened, sealed
from plexctl.keys.lab import LabKeys, deploy_key
from plexctl.keys.pki import ClusterKeys, argocd_redis_password
from plexctl.model.apps import Apps
from plexctl.model.events import Outcome
from plexctl.model.folder import lab_file
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.applied import addition, is_known
from plexctl.plan.genesis.compose import takes_additions
from plexctl.plan.gitops import argocd_install, argocd_sync, flux_install, flux_sync
from plexctl.plan.gitops.flux_sync import SourceKeys
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.gitops.tree import push_tree
from plexctl.workflow.images.recipes import stored_components

TOKEN = "source-token.age"  # noqa: S105 - the name of a file


class Delivery(Protocol):
    """The documents that start the apps, computed before the plex has an API."""

    def install(self, kube: Kube, run: Run, *, new: bool) -> None:
        """Apply the engine and its objects to a plex whose API answers.

        `new`: the run has created the cluster.
        """

    def wait(self, kube: Kube, run: Run) -> Apps:
        """Wait until the apps are applied and run; returns their state, possibly with failures."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What an engine consists of, and what it acts on."""

    gitops: Gitops
    engine: tuple[Document, ...]  # its namespace first
    crds: tuple[Document, ...]
    sync: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class FluxDelivery:
    plex: str
    documents: Documents
    kind: str  # of the source
    digest: str | None  # of the pushed tree; None for a source outside of the lab
    born: bool  # a new cluster starts with the documents, unless its image cannot do that

    def install(self, kube: Kube, run: Run, *, new: bool) -> None:
        with run.step("install Flux") as step:
            if new and self.born and flux.is_born(kube, self.kind):
                step.end(Outcome.UNCHANGED)
                return
            documents = self.documents
            changed = engines.install(kube, documents.engine, documents.crds, documents.sync)
            if not new:  # the longer a source fails, the less often Flux retries it
                flux.request_reconciliation(kube, self.kind)
            step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED)

    def wait(self, kube: Kube, run: Run) -> Apps:
        return flux.wait_for_apps(kube, self.plex, self.kind, run, self.digest)


@dataclass(frozen=True, slots=True)
class ArgocdDelivery:
    plex: str
    documents: Documents
    born: bool  # a new cluster starts with the documents, unless its image cannot do that

    def install(self, kube: Kube, run: Run, *, new: bool) -> None:
        with run.step("install Argo CD") as step:
            if new and self.born and argocd.is_born(kube):
                step.end(Outcome.UNCHANGED)
                return
            documents = self.documents
            changed = engines.install(kube, documents.engine, documents.crds, documents.sync)
            step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED)

    def wait(self, kube: Kube, run: Run) -> Apps:
        return argocd.wait_for_apps(kube, self.plex, run)


def engine_documents(ctx: Context, plex: Plex, gitops: Gitops) -> Documents:
    """The objects of the engine of `plex`. They contain keys.

    The depot has the engine already, because the nodes' image contains it.
    """
    match gitops.engine:
        case GitopsEngine.FLUX:
            return _flux(ctx, plex, gitops)
        case GitopsEngine.ARGOCD:
            return _argocd(ctx, plex, gitops)


def additions(ctx: Context, plex: Plex, documents: Documents) -> tuple[Addition, ...]:
    """What a new cluster is born with, so that nothing has to be applied."""
    every = (*documents.engine, *documents.crds, *documents.sync)
    if not (takes_additions(plex) and is_known(every)):
        return ()
    ca = ClusterKeys.derive(ctx.seed, plex.name, plex.epoch).ca.pair.certificate
    return (addition(every, plex.networks.services, ca),)


def prepare(ctx: Context, plex: Plex, documents: Documents, run: Run, *, born: bool) -> Delivery:
    """Push the lab's tree if it is the source. `born`: a new cluster has `additions`."""
    gitops = documents.gitops
    if gitops.engine is GitopsEngine.ARGOCD:
        return ArgocdDelivery(plex.name, documents, born)
    digest = None
    if gitops.source.kind is SourceKind.REGISTRY:
        digest, _ = push_tree(ctx, plex, run)
    return FluxDelivery(plex.name, documents, flux_sync.KINDS[gitops.source.kind], digest, born)


def _flux(ctx: Context, plex: Plex, gitops: Gitops) -> Documents:
    stored = _stored(ctx, plex, "flux")
    crds, upstream = _documents(stored)
    return Documents(
        gitops,
        flux_install.install(plex, _images(ctx, plex, stored), upstream),
        crds,
        flux_sync.sync(plex, gitops, ctx.lab.registry, source_keys(ctx, plex, gitops)),
    )


def _argocd(ctx: Context, plex: Plex, gitops: Gitops) -> Documents:
    stored = _stored(ctx, plex, "argocd")
    keys = source_keys(ctx, plex, gitops)
    password = argocd_redis_password(ctx.seed, plex.name, plex.epoch)
    servers = argocd_sync.servers(gitops, keys)
    crds, upstream = _documents(stored)
    images = _images(ctx, plex, stored)
    return Documents(
        gitops,
        argocd_install.install(plex, gitops, images, password, servers, upstream),
        crds,
        argocd_sync.sync(plex, gitops, ctx.lab.registry, keys),
    )


def source_keys(ctx: Context, plex: Plex, gitops: Gitops) -> SourceKeys:
    """The keys with which an engine reads, verifies and decrypts its source."""
    source = gitops.source
    access: dict[str, Secret | bytes] = {}
    ca = _read(ctx, source.ca) if source.ca else b""
    match source.kind:
        case SourceKind.REGISTRY:
            ca = LabKeys.derive(ctx.seed).ca.pair.certificate
        case SourceKind.SSH:
            key = deploy_key(ctx.seed, plex.name)
            assert source.known_hosts is not None, plex.name  # `check_gitops` requires it
            access = {
                "identity": key.private,
                "identity.pub": f"{key.public}\n".encode(),
                "known_hosts": _read(ctx, source.known_hosts),
            }
        case SourceKind.HTTPS:
            if token := read_token(ctx, plex):
                access = {"username": source.user.encode(), "password": token}
        case SourceKind.OCI:
            if token := read_token(ctx, plex):
                access = {flux_sync.DOCKER_CONFIG: _docker_config(source, token)}
    verify = {source.verify.name: _read(ctx, source.verify)} if source.verify else {}
    return SourceKeys(identity_file(ctx.seed, ctx.lab.secrets_epoch), access, ca, verify)


def _read(ctx: Context, file: Path) -> bytes:
    """A file of the lab, which the cluster gets. UsageError if a link leads out of the lab."""
    folder, name = lab_file(ctx.lab.root, file)
    content = folder.read(name)
    if content is None:
        raise PlexError(f"there is no file {file}")
    return content


def _docker_config(source: AppSource, token: Secret) -> Secret:
    login = {"username": source.user, "password": token.reveal_text()}
    return Secret(json.dumps({"auths": {source.url.split("/")[2]: login}}).encode())


def store_token(ctx: Context, plex: Plex, token: Secret) -> bool:
    """Store the token for a source, encrypted for the lab. False if it was stored already."""
    file, epoch = plex.file.parent / TOKEN, ctx.lab.secrets_epoch
    folder, name = lab_file(ctx.lab.root, file)
    stored = folder.read(name)
    if stored is not None and opened(ctx.seed, epoch, stored) == token:
        return False
    folder.write(name, sealed(ctx.seed, epoch, token), 0o600)
    return True


def read_token(ctx: Context, plex: Plex) -> Secret | None:
    """The stored token for the source of `plex`, if there is one."""
    file = plex.file.parent / TOKEN
    folder, name = lab_file(ctx.lab.root, file)
    stored = folder.read(name)
    if stored is None:
        return None
    found = opened(ctx.seed, ctx.lab.secrets_epoch, stored)
    if found is None:
        raise PlexError(
            f"{file} cannot be decrypted", hint=f"store it again: `plexctl flux token {plex.name}`"
        )
    return found


def _stored(ctx: Context, plex: Plex, component: str) -> Stored:
    """A component in the depot. PlexError if the depot does not have it."""
    found = stored_components(ctx, ctx.pins.release(plex.kubernetes), (component,))
    if found is None:
        raise PlexError(f"the depot has no {component}", hint="fetch it: `plexctl depot fill`")
    return found[component]


def _images(ctx: Context, plex: Plex, stored: Stored) -> Mapping[str, str]:
    """References of those images of a component that are in the depot, by name."""
    component = ctx.pins.release(plex.kubernetes).component(stored.component)
    present = {artifact.name for artifact in stored.artifacts}
    return {
        name: image.reference
        for name, image in component.images.items()
        if f"{name}.tar" in present
    }


def _documents(stored: Stored) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Upstream's documents of an engine in the depot: its CRDs, and the others."""
    crds: list[Document] = []
    others: list[Document] = []
    for artifact in stored.artifacts:
        if artifact.name.endswith(".yaml"):
            for document in yaml.load_all(artifact.path.read_bytes(), yaml.CSafeLoader):
                match document:
                    case {"kind": "CustomResourceDefinition"}:
                        crds.append(_without_descriptions(document))
                    case {"kind": str()}:
                        others.append(document)
    return tuple(crds), tuple(others)


def _without_descriptions(crd: Document) -> Document:
    """A CRD without descriptions: they are two thirds of its size, and cost the API time."""
    for version in crd["spec"]["versions"]:
        _drop_descriptions(version.get("schema", {}).get("openAPIV3Schema", {}))
    return crd


def _drop_descriptions(schema: Document) -> None:
    """Change a JSON schema in place. A property with the name "description" stays."""
    schema.pop("description", None)
    for group in ("properties", "patternProperties"):
        for part in schema.get(group, {}).values():
            _drop_descriptions(part)
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            _drop_descriptions(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key, ()):
            _drop_descriptions(part)
