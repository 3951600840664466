"""The documents that install and configure Argo CD, to the byte."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.keys.pki import argocd_redis_password
from plexctl.keys.seed import RootSeed
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document, dump
from plexctl.plan.gitops import argocd_install, argocd_sync, flux_sync
from plexctl.plan.gitops.argocd_install import Servers
from plexctl.plan.gitops.flux_sync import SourceKeys

from .test_plan import GOLDEN
from .upstream import upstream

URL = "ssh://git@git.example.org/lab.git"
IMAGES = {"argocd": "quay.io/argoproj/argocd:v3", "redis": "docker.io/library/redis:8"}
KEYS = SourceKeys(
    Secret(b"AGE-SECRET-KEY-1"),
    {"identity": Secret(b"PRIVATE"), "identity.pub": b"ssh-ed25519 A", "known_hosts": b"git A\n"},
)


def source() -> Gitops:
    source = AppSource(SourceKind.SSH, URL, known_hosts=Path("known_hosts"))
    return Gitops(GitopsEngine.ARGOCD, source, "clusters/demo", 60)


@pytest.fixture
def gitops() -> Gitops:
    return source()


@pytest.fixture
def installed(demo: Plex, gitops: Gitops) -> tuple[Document, ...]:
    return argocd_install.install(
        demo, gitops, IMAGES, Secret(b"PASSWORD"), Servers("git A\n"), upstream("argocd")
    )


def of(documents: tuple[Document, ...], kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def decoded(secret: Document) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def test_documents_of_argocd_are_the_golden_ones(
    demo: Plex, gitops: Gitops, installed: tuple[Document, ...]
) -> None:
    """`GOLDEN=write pytest tests/unit/plan` writes them."""
    golden = GOLDEN / "argocd.yaml"
    text = dump(*installed, *argocd_sync.sync(demo, gitops, None, KEYS))
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


def test_only_secrets_contain_keys(
    demo: Plex, gitops: Gitops, installed: tuple[Document, ...]
) -> None:
    documents = (*installed, *argocd_sync.sync(demo, gitops, None, KEYS))
    others = json.dumps([one for one in documents if one["kind"] != "Secret"])

    for key in ("PASSWORD", "PRIVATE", "AGE-SECRET-KEY"):
        assert key not in others
        assert base64.b64encode(key.encode()).decode() not in others
    assert decoded(of(installed, "Secret")["argocd-redis"])["redis.conf"].endswith(
        "\nrequirepass PASSWORD\n"
    )


def test_every_reference_names_an_object(installed: tuple[Document, ...]) -> None:
    accounts, secrets = of(installed, "ServiceAccount"), of(installed, "Secret")
    maps = of(installed, "ConfigMap")
    workloads = {**of(installed, "Deployment"), **of(installed, "StatefulSet")}

    assert workloads.keys() == accounts.keys()
    for name, workload in workloads.items():
        pod = workload["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == name
        (container,) = pod["containers"]
        assert container["image"] in IMAGES.values()
        volumes = {one["name"]: one for one in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
        for volume in volumes.values():
            if "secret" in volume and not volume["secret"].get("optional"):
                data = secrets[volume["secret"]["secretName"]]["data"]
                assert {item["key"] for item in volume["secret"]["items"]} <= data.keys()
            assert volume.get("configMap", {"name": "argocd-cm"})["name"] in maps
    for service in of(installed, "Service").values():
        target = service["spec"]["selector"]["app.kubernetes.io/name"]
        assert target in workloads
    settings = maps["argocd-cmd-params-cm"]["data"]
    for key in ("redis.server", "repo.server"):
        host, _, port = settings[key].partition(":")
        ports = of(installed, "Service")[host]["spec"]["ports"]
        assert int(port) in {one["port"] for one in ports}


def test_an_https_source_is_read_with_its_token(demo: Plex, gitops: Gitops) -> None:
    source = AppSource(SourceKind.HTTPS, "https://git.example.org/lab.git", tag="v1")
    keys = SourceKeys(Secret(b"x"), {"username": b"git", "password": Secret(b"TOKEN")})
    documents = argocd_sync.sync(demo, replace(gitops, source=source), None, keys)

    (secret,) = of(documents, "Secret").values()
    assert decoded(secret) == {
        "type": "git",
        "url": source.url,
        "username": "git",
        "password": "TOKEN",
    }
    spec = of(documents, "ApplicationSet")["apps"]["spec"]
    assert spec["template"]["spec"]["source"]["targetRevision"] == "v1"
    tag = replace(gitops, source=source)
    assert argocd_sync.servers(tag, keys) == Servers()
    known = argocd_sync.servers(tag, replace(keys, ca=b"CERTIFICATE"))
    assert known == Servers("", {"git.example.org": "CERTIFICATE"})
    installed = argocd_install.install(demo, tag, IMAGES, Secret(b"P"), known, upstream("argocd"))
    settings = of(installed, "ConfigMap")
    assert settings["argocd-tls-certs-cm"]["data"] == {"git.example.org": "CERTIFICATE"}


def test_a_public_source_needs_no_secret(demo: Plex, gitops: Gitops) -> None:
    source = AppSource(SourceKind.HTTPS, "https://git.example.org/lab.git")
    documents = argocd_sync.sync(demo, replace(gitops, source=source), None, SourceKeys(KEYS.age))

    assert [one["kind"] for one in documents] == ["AppProject", "ApplicationSet"]


def test_facts_are_those_of_flux(demo: Plex, gitops: Gitops) -> None:
    facts = flux_sync.facts(demo, gitops, None)
    assert facts.pop("PLEX_SOURCE_KIND") == "GitRepository"  # of Flux
    assert argocd_sync.facts(demo, gitops, None) == facts


def test_the_password_depends_on_plex_and_epoch() -> None:
    seed = RootSeed(Secret(bytes(32)))
    places = [("demo", 1), ("demo", 2), ("test", 1)]
    made = {argocd_redis_password(seed, *place).reveal() for place in places}

    assert len(made) == 3
    assert all(len(one) == 64 for one in made)


def test_no_program_needs_a_tool_that_a_built_image_lacks(
    installed: tuple[Document, ...],
) -> None:
    """Upstream's init containers call cp and ln; images that the depot builds have neither."""
    for workload in (*of(installed, "Deployment").values(), *of(installed, "StatefulSet").values()):
        pod = workload["spec"]["template"]["spec"]
        assert "initContainers" not in pod
        assert {one["imagePullPolicy"] for one in pod["containers"]} == {"IfNotPresent"}
        assert "REDIS_PASSWORD" not in json.dumps(pod)
