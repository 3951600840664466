"""The objects that Flux reads on a plex: its source, the facts, the first Kustomization."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from plexctl.model.gitops import AppSource, Gitops, SourceKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex
from plexctl.model.registry import Registry
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.gitops.flux_install import LABELS, NAMESPACE
from plexctl.plan.kubernetes.kubeadm import endpoint, master

NAME = "plex"
"""The name of the source and of the first Kustomization. The tree refers to it."""

FACTS, SOPS = "plex-facts", "sops-age"
SOURCE_SECRET, CA_SECRET, VERIFY_SECRET = "plex-source", "plex-source-ca", "plex-verify"
LOGIN_SECRET = "plex-source-login"  # noqa: S105 - its type differs, and types cannot change
AGE_KEY = "age.agekey"
DOCKER_CONFIG = ".dockerconfigjson"
"""The credentials of a registry, in Docker's format."""

TAG = "tree"
"""The tag of the tree in the lab's registry."""
BALANCED = (3, 9)
"""Addresses for services, in the node network between its gateway and the nodes."""

KINDS = {
    SourceKind.REGISTRY: "OCIRepository",
    SourceKind.OCI: "OCIRepository",
    SourceKind.SSH: "GitRepository",
    SourceKind.HTTPS: "GitRepository",
}


@dataclass(frozen=True, slots=True)
class SourceKeys:
    """The credentials of the source, and what it is verified with."""

    age: Secret  # identities, as age-keygen writes them
    access: Mapping[str, Secret | bytes] = field(default_factory=dict)  # the source's Secret
    ca: bytes = b""  # authorities in PEM; empty: the public ones
    verify: Mapping[str, bytes] = field(default_factory=dict)  # public keys by file name


def repository(plex: str) -> str:
    """The repository in the lab's registry that `plexctl flux push` pushes the tree to."""
    return f"plexes/{plex}"


def sync(
    plex: Plex, gitops: Gitops, registry: Registry | None, keys: SourceKeys
) -> tuple[Document, ...]:
    """Secrets, facts, source and first Kustomization. They contain keys."""
    held = {SOPS: {AGE_KEY: keys.age}, **_credentials(gitops, keys), VERIFY_SECRET: keys.verify}
    return (
        *(_secret(name, data) for name, data in held.items() if data),
        {**_object("v1", "ConfigMap", FACTS), "data": facts(plex, gitops, registry)},
        source(plex, gitops, registry, keys),
        root(gitops),
    )


def facts(plex: Plex, gitops: Gitops, registry: Registry | None) -> dict[str, str]:
    """The variables ${PLEX_…} of a tree."""
    members = nodes(plex)
    return {
        "PLEX_NAME": plex.name,
        "PLEX_DOMAIN": plex.domain,
        "PLEX_SOURCE_KIND": KINDS[gitops.source.kind],
        "PLEX_NODES_NETWORK": str(plex.networks.nodes),
        "PLEX_PODS_NETWORK": str(plex.networks.pods),
        "PLEX_SERVICES_NETWORK": str(plex.networks.services),
        "PLEX_GATEWAY": str(plex.networks.gateway().ip),
        "PLEX_MASTER_ADDRESS": str(master(plex).address.ip),
        "PLEX_API": endpoint(plex),
        "PLEX_NODE_ADDRESSES": ",".join(str(node.address.ip) for node in members),
        "PLEX_WORKERS": str(plex.workers),
        "PLEX_LOADBALANCER_RANGE": balanced(plex),
        "PLEX_REGISTRY": registry.endpoint if registry else "",
    }


def balanced(plex: Plex) -> str:
    """Addresses for services of type LoadBalancer: "10.64.42.3-10.64.42.9".

    Each host of a plex may have a gateway address, from .1 on. With eight hosts, the most there can
    be, .9 is left: the API has .10.
    """
    gateways = {plex.networks.gateway(place) for place in range(len(plex.hosts))}
    first = max(BALANCED[0], 1 + len(gateways))
    return f"{plex.networks.nodes[first]}-{plex.networks.nodes[BALANCED[1]]}"


def source(plex: Plex, gitops: Gitops, registry: Registry | None, keys: SourceKeys) -> Document:
    """The GitRepository or OCIRepository that all Kustomizations of the tree refer to."""
    kind = KINDS[gitops.source.kind]
    # `flux push` requests a reconciliation itself. To poll the lab's registry often costs nothing.
    spec: Document = {"interval": f"{gitops.interval}s", "timeout": "20s"}
    if gitops.source.kind is SourceKind.REGISTRY:
        assert registry is not None, plex.name  # config.check requires it
        spec["url"] = f"oci://{registry.endpoint}/{repository(plex.name)}"
        spec["ref"] = {"tag": TAG}
    else:
        spec["url"] = gitops.source.url
        spec["ref"] = _reference(gitops.source)
    credentials = _credentials(gitops, keys)
    for name, data in credentials.items():
        if data:
            spec["certSecretRef" if name == CA_SECRET else "secretRef"] = {"name": name}
    if keys.verify:
        spec["verify"] = {"secretRef": {"name": VERIFY_SECRET}} | (
            {"mode": "HEAD"} if kind == "GitRepository" else {"provider": "cosign"}
        )
    return {**_object("source.toolkit.fluxcd.io/v1", kind, NAME), "spec": spec}


def _credentials(gitops: Gitops, keys: SourceKeys) -> dict[str, Mapping[str, Secret | bytes]]:
    """The credentials of the source, by the Secret that Flux reads them from."""
    ca = {"ca.crt": keys.ca} if keys.ca else {}
    if KINDS[gitops.source.kind] == "GitRepository":
        return {SOURCE_SECRET: {**keys.access, **ca}}
    return {LOGIN_SECRET: keys.access, CA_SECRET: ca}


def root(gitops: Gitops) -> Document:
    """The first Kustomization. It applies the others."""
    return {
        **_object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", NAME),
        "spec": {
            "interval": f"{max(gitops.interval, 600)}s",
            "retryInterval": "5s",
            "timeout": "60s",
            "path": f"./{gitops.path}",
            "prune": True,
            "wait": False,
            "sourceRef": {"kind": KINDS[gitops.source.kind], "name": NAME},
            "decryption": {"provider": "sops", "secretRef": {"name": SOPS}},
            "postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": FACTS}]},
        },
    }


def _reference(source: AppSource) -> Document:
    if source.semver:
        return {"semver": source.semver}
    if source.tag:
        return {"tag": source.tag}
    if source.kind is SourceKind.OCI:
        return {"tag": "latest"}
    return {"branch": source.branch or "main"}


def _object(version: str, kind: str, name: str) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _secret(name: str, data: Mapping[str, Secret | bytes]) -> Document:
    def encoded(value: Secret | bytes) -> str:
        return base64.b64encode(value if isinstance(value, bytes) else value.reveal()).decode()

    content = {key: encoded(value) for key, value in data.items()}
    kind = "kubernetes.io/dockerconfigjson" if name == LOGIN_SECRET else "Opaque"
    return {**_object("v1", "Secret", name), "type": kind, "data": content}
