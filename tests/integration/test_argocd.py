"""plexctl's objects for Argo CD, compared with its CRDs, and what its own code makes of them.

No Argo CD runs here. The first run compiles parts of it, which takes minutes; a depot that is built
has compiled the same.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.model.secret import Secret
from plexctl.plan.gitops import argocd_install, argocd_sync
from plexctl.plan.gitops.argocd_install import Servers
from plexctl.plan.gitops.flux_sync import SourceKeys

from ..manifests import Schemas, documents
from .support import CHECKOUT
from .test_apps import PINS, module

PLEX = """\
gitops:
  engine: argocd
  source: ssh://git@git.example.org/lab.git
  known_hosts: clusters/known_hosts
"""
IMAGES = {"argocd": "quay.io/argoproj/argocd:v3", "redis": "docker.io/library/redis:8"}
KEYS = SourceKeys(Secret(b"age"), {"identity": Secret(b"key"), "known_hosts": b"git.example.org A"})
OWN_BUILD = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
FLUX = "fluxcd.io/"
Render = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of Argo CD."""
    folder = tmp_path_factory.mktemp("argocd") / "module"
    return module(PINS / "argocd", "github.com/argoproj/argo-cd/v3", folder)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory, argo: Path) -> Schemas:
    folder = tmp_path_factory.mktemp("modules")
    kubernetes = module(PINS / "kubernetes", "k8s.io/kubernetes", folder / "kubernetes")
    known = Schemas(kubernetes / "api" / "openapi-spec" / "v3")
    known.add_crds(documents(*sorted((argo / "manifests" / "crds").glob("*-crd.yaml"))))
    return known


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory, argo: Path) -> dict[str, Any]:
    """The documents that plexctl applies for a plex, by kind and name."""
    root = tmp_path_factory.mktemp("lab")
    (root / "clusters" / "demo").mkdir(parents=True)
    (root / "clusters" / "hosts.yaml").write_text("hosts: {local: {}}\n")
    (root / "clusters" / "known_hosts").write_text("git.example.org A\n")
    (root / "clusters" / "demo" / "plex.yaml").write_text(PLEX)
    plex = load_lab(root, ["1.36.3"]).plexes["demo"]
    assert plex.gitops is not None
    core = documents(argo / "manifests" / "core-install.yaml")
    upstream = [one for one in core if one["kind"] != "CustomResourceDefinition"]
    made = argocd_install.install(
        plex, plex.gitops, IMAGES, Secret(b"password"), Servers("git A"), upstream
    )
    made += argocd_sync.sync(plex, plex.gitops, None, KEYS)
    return {f"{one['kind']} {one['metadata']['name']}": one for one in made}


def compiled(package: str, folder: Path, *sources: Path) -> Path:
    """A program of the modules that the depot builds Argo CD from, with the same flags."""
    shutil.copytree(PINS / "argocd", folder)
    for source in sources:
        shutil.copy(source, folder)
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-w", "-o", "program", package],
        cwd=folder,
        env={**os.environ, **OWN_BUILD, "GOWORK": "off"},
        check=True,
        timeout=3000,
    )
    return folder / "program"


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory, objects: dict[str, Any]) -> Render:
    """Makes the Applications that a repository at `root` leads to."""
    folder = tmp_path_factory.mktemp("render")
    source = Path(__file__).parent / "argocd_render" / "main.go"
    program = compiled("main.go", folder / "program", source)

    def run(root: Path) -> list[Any]:
        given = folder / "given.json"
        given.write_text(json.dumps([objects["ApplicationSet apps"], objects["AppProject plex"]]))
        done = subprocess.run(
            [program, given, root], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise ValueError(done.stderr)
        found: list[Any] = json.loads(done.stdout)
        for one in found:
            del one["status"]  # Go writes it, empty
        versions = {"apiVersion": argocd_sync.VERSION, "kind": "Application"}
        return [{**versions, **one} for one in found]

    return run


@pytest.fixture(scope="module")
def kustomize(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], list[Any]]:
    """Builds a folder with the kustomize that is in the image."""
    package = "sigs.k8s.io/kustomize/kustomize/v5"
    program = compiled(package, tmp_path_factory.mktemp("kustomize") / "program")

    def run(folder: Path) -> list[Any]:
        done = subprocess.run(
            [program, "build", folder], stdout=subprocess.PIPE, check=True, timeout=60
        )
        return list(yaml.safe_load_all(done.stdout))

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(CHECKOUT / "apps", tmp_path / "apps")
    return tmp_path


def configure(tree: Path, app: str, **fields: Any) -> None:
    file = tree / "apps" / app / "config.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | fields))


def test_everything_fits_to_the_schemas(objects: dict[str, Any], schemas: Schemas) -> None:
    assert {"ApplicationSet apps", "AppProject plex", "Secret plex-repository"} <= objects.keys()
    assert [problem for one in objects.values() for problem in schemas.problems(one)] == []


@pytest.mark.parametrize(
    ("name", "path", "wrong", "said"),
    [
        ("ApplicationSet apps", ("spec",), "goTemplates", "'goTemplates' was unexpected"),
        (
            "ApplicationSet apps",
            ("spec", "template", "spec", "syncPolicy", "automated"),
            "selfHeel",
            "'selfHeel' was unexpected",
        ),
        ("ApplicationSet apps", ("spec", "generators", 0, "git"), "file", "'file' was unexpected"),
        ("AppProject plex", ("spec",), "sourceRepo", "'sourceRepo' was unexpected"),
    ],
)
def test_a_misspelt_field_is_found(
    objects: dict[str, Any],
    schemas: Schemas,
    name: str,
    path: tuple[str | int, ...],
    wrong: str,
    said: str,
) -> None:
    item = copy.deepcopy(objects[name])
    place = item
    for part in path:
        place = place[part]
    place[wrong] = True

    assert any(said in problem for problem in schemas.problems(item))


def test_an_application_for_every_app_that_names_the_plex(
    tree: Path, render: Render, schemas: Schemas
) -> None:
    configure(tree, "ingress", plexes={"demo": True})
    configure(tree, "nfs", plexes={"all": True, "demo": True})  # once, all the same
    configure(tree, "metrics-server", plexes={"other": True})
    found = {one["metadata"]["name"]: one for one in render(tree)}

    assert sorted(found) == ["hello-world", "ingress", "nfs"]
    for one in found.values():
        assert schemas.problems(one) == []
        assert one["spec"]["project"] == "plex"
        assert one["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
    assert found["nfs"]["spec"]["destination"]["namespace"] == "kube-system"
    assert found["nfs"]["spec"]["source"]["path"] == "apps/nfs"
    assert "kustomize" not in found["ingress"]["spec"]["source"]


def test_a_misspelt_field_of_an_application_is_found(render: Render, schemas: Schemas) -> None:
    (app,) = render(CHECKOUT)
    app["spec"]["source"]["kustomise"] = app["spec"]["source"].pop("kustomize")

    (problem,) = schemas.problems(app)
    assert problem.startswith("Application hello-world: spec.source: ")
    assert "'kustomise' was unexpected" in problem


def test_a_config_that_lacks_something_is_found(tree: Path, render: Render) -> None:
    (tree / "apps" / "hello-world" / "config.yml").write_text("name: a\nplexes: {all: true}\n")

    with pytest.raises(ValueError, match=r'no entry for key "(path|namespace)"'):
        render(tree)


def test_facts_reach_what_flux_would_fill_in(
    tree: Path, render: Render, kustomize: Callable[[Path], list[Any]], objects: dict[str, Any]
) -> None:
    """Every app that Flux is not needed for, built as Argo CD builds it."""
    values = objects["ApplicationSet apps"]["spec"]["generators"][0]["git"]["values"]
    for config in (tree / "apps").glob("*/config.yml"):
        configure(tree, config.parent.name, plexes={"all": True})
    built: dict[str, list[Any]] = {}
    for app in render(tree):
        folder = tree / app["spec"]["source"]["path"]
        patches = app["spec"]["source"].get("kustomize", {}).get("patches", [])
        file = folder / "kustomization.yaml"
        kustomization = yaml.safe_load(file.read_text())
        kustomization["patches"] = [*kustomization.get("patches", ()), *patches]
        file.write_text(yaml.safe_dump(kustomization))
        built[app["metadata"]["name"]] = kustomize(folder)
    plain = {
        name: objects
        for name, objects in built.items()
        if not any(FLUX in one["apiVersion"] for one in objects)
    }

    assert {"hello-world", "ingress", "local-path", "metrics-server", "nfs"} <= plain.keys()
    assert [name for name, objects in plain.items() if "${" in json.dumps(objects)] == []
    (greeting,) = (one for one in plain["hello-world"] if one["kind"] == "ConfigMap")
    assert greeting["data"] == {"GREETING": "hello from demo"}
    (share,) = (one for one in plain["nfs"] if one["kind"] == "StorageClass")
    assert share["parameters"] == {"server": values["PLEX_GATEWAY"], "share": "/srv/nfs"}
