"""The documents that install and configure Flux, to the byte."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex
from plexctl.model.registry import UPSTREAMS, Registry
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document, dump
from plexctl.plan.gitops.flux_install import install
from plexctl.plan.gitops.flux_sync import DOCKER_CONFIG, SourceKeys, balanced, sync

from .test_plan import GOLDEN
from .upstream import upstream

IMAGES = {
    "source-controller": "ghcr.io/fluxcd/source-controller:v1",
    "kustomize-controller": "ghcr.io/fluxcd/kustomize-controller:v1",
}
CONTROLLERS = (*IMAGES, "helm-controller", "notification-controller")
REGISTRY = Registry("registry", IPv4Network("10.64.63.0/24"), UPSTREAMS)
KEYS = SourceKeys(Secret(b"AGE-SECRET-KEY-1"), ca=b"CERTIFICATE")


def gitops(kind: SourceKind, url: str = "", **source: str) -> Gitops:
    return Gitops(GitopsEngine.FLUX, AppSource(kind, url, **source), "clusters/demo", 60)  # type: ignore[arg-type]


def spec_of_source(plex: Plex, wanted: Gitops, keys: SourceKeys = KEYS) -> Document:
    found = {one["kind"]: one for one in sync(plex, wanted, None, keys)}
    return dict((found.get("GitRepository") or found["OCIRepository"])["spec"])


def test_documents_of_flux_are_the_golden_ones(demo: Plex) -> None:
    documents = (
        *install(demo, IMAGES, upstream(*CONTROLLERS)),
        *sync(demo, gitops(SourceKind.REGISTRY), REGISTRY, KEYS),
    )
    golden = GOLDEN.with_name("flux.yaml")
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(dump(*documents))
    assert dump(*documents) == golden.read_text()


def test_a_controller_without_an_image_is_left_out(demo: Plex) -> None:
    def deployed(images: dict[str, str]) -> set[str]:
        documents = install(demo, images, upstream(*CONTROLLERS))
        return {one["metadata"]["name"] for one in documents if one["kind"] == "Deployment"}

    assert deployed(IMAGES) == set(IMAGES)
    more = {**IMAGES, "helm-controller": "h", "notification-controller": "n"}
    assert deployed(more) == set(more)


def test_facts_follow_the_size_of_the_plex(demo: Plex) -> None:
    def facts(plex: Plex) -> Document:
        documents = sync(plex, gitops(SourceKind.REGISTRY), REGISTRY, KEYS)
        return dict(next(one["data"] for one in documents if one["kind"] == "ConfigMap"))

    assert facts(demo)["PLEX_NODE_ADDRESSES"] == "10.64.3.11,10.64.3.12,10.64.3.13"
    assert facts(replace(demo, workers=0))["PLEX_NODE_ADDRESSES"] == "10.64.3.11"
    assert facts(demo)["PLEX_LOADBALANCER_RANGE"] == "10.64.3.3-10.64.3.9"


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_services_get_no_address_of_a_host_or_of_a_node(demo: Plex, count: int) -> None:
    plex = replace(demo, host_order=tuple(f"host{number}" for number in range(count)))
    first, last = (int(one.rpartition(".")[2]) for one in balanced(plex).split("-"))
    services = {plex.networks.nodes[number] for number in range(first, last + 1)}
    taken = {plex.networks.gateway(place).ip for place in range(count)}
    taken |= {plex.networks.endpoint, *(node.address.ip for node in nodes(plex))}
    assert services
    assert not services & taken


@pytest.mark.parametrize(
    ("wanted", "reference"),
    [
        (gitops(SourceKind.SSH, "ssh://git@x/y"), {"branch": "main"}),
        (gitops(SourceKind.HTTPS, "https://x/y", branch="b"), {"branch": "b"}),
        (gitops(SourceKind.HTTPS, "https://x/y", tag="v1"), {"tag": "v1"}),
        (gitops(SourceKind.OCI, "oci://x/y", semver="1.x"), {"semver": "1.x"}),
    ],
)
def test_a_source_names_the_revision_to_apply(
    demo: Plex, wanted: Gitops, reference: dict[str, str]
) -> None:
    spec = spec_of_source(demo, wanted)
    assert (spec["url"], spec["ref"]) == (wanted.source.url, reference)


def test_credentials_of_a_source_are_where_flux_reads_them(demo: Plex) -> None:
    def held(kind: SourceKind, url: str, **keys: Secret | bytes) -> tuple[Document, Document]:
        wanted = gitops(kind, url)
        documents = sync(demo, wanted, None, replace(KEYS, access=keys))
        secrets = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Secret"}
        return secrets, spec_of_source(demo, wanted, replace(KEYS, access=keys))

    secrets, git = held(SourceKind.HTTPS, "https://x/y", username=b"me", password=Secret(b"word"))
    assert set(secrets["plex-source"]["data"]) == {"username", "password", "ca.crt"}
    assert git["secretRef"] == {"name": "plex-source"}
    assert "certSecretRef" not in git

    secrets, oci = held(SourceKind.OCI, "oci://x/y", **{DOCKER_CONFIG: Secret(b"{}")})
    assert secrets["plex-source-login"]["type"] == "kubernetes.io/dockerconfigjson"
    assert set(secrets["plex-source-ca"]["data"]) == {"ca.crt"}
    assert oci["secretRef"] == {"name": "plex-source-login"}
    assert oci["certSecretRef"] == {"name": "plex-source-ca"}


def test_signatures_are_verified_where_keys_are_configured(demo: Plex) -> None:
    keys = replace(KEYS, verify={"cosign.pub": b"KEY"})
    git = spec_of_source(demo, gitops(SourceKind.SSH, "ssh://x/y"), keys)
    oci = spec_of_source(demo, gitops(SourceKind.OCI, "oci://x/y"), keys)
    assert git["verify"] == {"mode": "HEAD", "secretRef": {"name": "plex-verify"}}
    assert oci["verify"] == {"provider": "cosign", "secretRef": {"name": "plex-verify"}}
    assert "verify" not in spec_of_source(demo, gitops(SourceKind.SSH, "ssh://x/y"))
