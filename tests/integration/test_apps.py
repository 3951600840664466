"""The apps and the tree that Flux applies, built as Flux builds them and compared with schemas.

Nothing runs here: what a cluster makes of them is in the stories about plexes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.helm import template
from plexctl.config.init import write_first
from plexctl.config.init_gitops import write_gitops
from plexctl.config.load import load_lab
from plexctl.model.lab import Lab
from plexctl.plan.gitops import flux_sync
from plexctl.plan.gitops.charts import manifests, release_of

from ..manifests import Schemas, documents
from .support import CHECKOUT, stored_program, uv

PINS = CHECKOUT / "plexctl" / "pins"
SCHEMAS = CHECKOUT / "tests" / "schemas"
APPS = tuple(
    sorted(
        str(file.parent.relative_to(CHECKOUT))
        for file in (CHECKOUT / "apps").rglob("kustomization.yaml")
    )
)
Build = Callable[..., list[Any]]


def module(pin: Path, name: str, folder: Path) -> Path:
    """The sources of a Go module in the version that `pin` has, checksum verified."""
    shutil.copytree(pin, folder)
    done = subprocess.run(
        ["go", "mod", "download", "-json", name],
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    found = json.loads(done.stdout)
    assert found["Sum"] in (pin / "go.sum").read_text()
    return Path(found["Dir"])


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory, metallb: Path) -> Schemas:
    folder = tmp_path_factory.mktemp("modules")
    kubernetes = module(PINS / "kubernetes", "k8s.io/kubernetes", folder / "kubernetes")
    known = Schemas(kubernetes / "api" / "openapi-spec" / "v3")
    for name in ("source-controller", "kustomize-controller"):
        flux = module(PINS / f"flux-{name}", f"github.com/fluxcd/{name}", folder / name)
        known.add_crds(documents(*(flux / "config" / "crd" / "bases").glob("*.yaml")))
    known.add_crds(documents(*SCHEMAS.glob("*.yaml")))
    known.add_crds(documents(*(metallb / "config" / "crd" / "bases").glob("*.yaml")))
    return known


@pytest.fixture(scope="module")
def metallb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MetalLB's sources, with its CRDs and its chart."""
    folder = tmp_path_factory.mktemp("metallb") / "module"
    return module(SCHEMAS / "metallb", "go.universe.tf/metallb", folder)


def laid_down(root: Path) -> Lab:
    """A lab as `plexctl init --gitops lab` lays it down."""
    write_first(root, "lab")
    write_gitops(load_lab(root, ["1.36.3"]), "lab")
    return load_lab(root, ["1.36.3"])


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return laid_down(tmp_path).root


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The facts that plexctl gives to the tree of the lab."""
    lab = laid_down(tmp_path_factory.mktemp("facts"))
    plex = lab.plexes["lab"]
    assert plex.gitops is not None
    return flux_sync.facts(plex, plex.gitops, lab.registry)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, facts: dict[str, str]) -> Build:
    """Builds a folder of a tree: the versions of kustomize and envsubst are the controller's.

    Variables that apps have beyond the facts must have a default.
    """
    folder = tmp_path_factory.mktemp("build") / "program"
    shutil.copytree(PINS / "flux-kustomize-controller", folder)
    shutil.copy(Path(__file__).parent / "flux_build" / "main.go", folder)
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags=-w", "-o", "flux-build", "main.go"],
        cwd=folder,
        env={
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        },
        check=True,
        timeout=600,
    )

    def run(root: Path, path: str, **others: str) -> list[Any]:
        variables = folder / "variables.json"
        variables.write_text(json.dumps({**facts, **others}))
        done = subprocess.run(
            [folder / "flux-build", variables, path],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise ValueError(done.stderr)
        objects: list[Any] = json.loads(done.stdout)[path]
        return objects

    return run


@pytest.mark.parametrize("app", APPS)
def test_every_app_fits_to_the_schemas(app: str, build: Build, schemas: Schemas) -> None:
    objects = build(CHECKOUT, app)

    assert objects
    assert [problem for item in objects for problem in schemas.problems(item)] == []


@pytest.mark.parametrize("kind", ["OCIRepository", "GitRepository"])
def test_the_tree_of_a_plex_is_whole(kind: str, lab: Path, build: Build, schemas: Schemas) -> None:
    """The objects that the root applies are valid, and so are the folders that they name."""
    gitops = load_lab(lab, ["1.36.3"]).plexes["lab"].gitops
    assert gitops is not None
    root = flux_sync.root(gitops)
    assert schemas.problems(root) == []
    children = build(lab, root["spec"]["path"], PLEX_SOURCE_KIND=kind)

    assert [problem for item in children for problem in schemas.problems(item)] == []
    names = {child["metadata"]["name"] for child in children}
    assert names == {"secrets", "infra", "hello-world"}
    for child in children:
        spec = child["spec"]
        assert child["metadata"]["namespace"] == "flux-system"
        assert spec["sourceRef"] == {"kind": kind, "name": "plex"}
        assert (spec["prune"], spec["wait"]) == (True, False)
        assert spec["decryption"] == {"provider": "sops", "secretRef": {"name": "sops-age"}}
        assert spec["postBuild"] == {
            "substituteFrom": [{"kind": "ConfigMap", "name": "plex-facts"}]
        }
        assert {need["name"] for need in spec.get("dependsOn", ())} <= names
        for item in build(lab, spec["path"]):
            assert schemas.problems(item) == []


def test_commented_lines_of_the_tree_are_valid(lab: Path, build: Build, schemas: Schemas) -> None:
    for app in ("local-path", "metrics-server"):
        shutil.copytree(CHECKOUT / "apps" / app, lab / "apps" / app)
    own = lab / "clusters" / "lab"
    infra = own / "infra" / "kustomization.yaml"
    infra.write_text(infra.read_text().replace("  # - ../", "  - ../"))
    root = own / "kustomization.yaml"
    text = root.read_text().replace("  # - apps.yaml", "  - apps.yaml")
    root.write_text(text.replace("# patches:", "patches:").replace("\n#   ", "\n  "))
    (own / "apps.yaml").write_text(
        (lab / "clusters/omniplex/apps.yaml").read_text().replace("hello-world", "podinfo")
    )

    kinds = {item["kind"] for item in build(lab, "clusters/lab/infra")}
    children = {item["metadata"]["name"]: item["spec"] for item in build(lab, "clusters/lab")}

    assert {"StorageClass", "APIService", "Namespace"} <= kinds
    assert children["podinfo"]["sourceRef"]["name"] == "plex"  # the settings are its own too
    assert children["hello-world"]["interval"] == "1m"
    assert children["infra"]["interval"] == "10m"


def test_the_chart_of_metallb_takes_the_apps_values(
    metallb: Path, schemas: Schemas, tmp_path: Path
) -> None:
    """Rendered by Helm as `plexctl render` does it, and compared with the schemas."""
    file = CHECKOUT / "apps" / "metallb" / "release.yaml"
    release = release_of(list(documents(file)), file.name)
    made = template(
        stored_program("helm", "helm", tmp_path),
        metallb / "charts" / "metallb",
        release.name,
        release.namespace,
        release.values,
        kubernetes="1.36.3",
    )
    found = manifests(release, made, file.name)

    kinds = Counter(item["kind"] for item in found)
    assert (kinds["Deployment"], kinds["DaemonSet"]) == (1, 1)
    own = [item for item in found if item["kind"] != "CustomResourceDefinition"]
    assert [problem for item in own for problem in schemas.problems(item)] == []


def test_facts_arrive_and_defaults_serve(build: Build, facts: dict[str, str]) -> None:
    pool = build(CHECKOUT, "apps/metallb/pool")
    assert pool[0]["spec"]["addresses"] == [facts["PLEX_LOADBALANCER_RANGE"]]
    (share,) = (o["parameters"] for o in build(CHECKOUT, "apps/nfs") if o["kind"] == "StorageClass")
    assert share == {"server": facts["PLEX_GATEWAY"], "share": "/srv/nfs"}
    (config,) = (o for o in build(CHECKOUT, "apps/hello-world") if o["kind"] == "ConfigMap")
    assert config["data"] == {"GREETING": "hello from lab"}


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("deployment.yaml", "periodSeconds: 1", "periodSecond: 1", "'periodSecond' was unexpected"),
        ("deployment.yaml", "replicas: 1", "replicas: one", "'one' is not of type 'integer'"),
        ("service.yaml", "kind: Service", "kind: Servise", "no schema of Servise in v1"),
    ],
)
def test_a_mistake_is_found(
    file: str, right: str, wrong: str, said: str, lab: Path, build: Build, schemas: Schemas
) -> None:
    manifest = lab / "apps" / "hello-world" / file
    text = manifest.read_text()
    assert right in text
    manifest.write_text(text.replace(right, wrong))

    problems = [p for item in build(lab, "apps/hello-world") for p in schemas.problems(item)]

    assert len(problems) == 1
    assert said in problems[0]


def test_a_mistake_in_a_kind_of_flux_is_found(lab: Path, build: Build, schemas: Schemas) -> None:
    settings = lab / "clusters" / "omniplex" / "settings" / "kustomization.yaml"
    settings.write_text(settings.read_text().replace("prune: true", "prun: true"))

    problems = [p for item in build(lab, "clusters/lab") for p in schemas.problems(item)]

    assert len([p for p in problems if "'prun' was unexpected" in p]) == 3
    assert len([p for p in problems if "'prune' is a required property" in p]) == 3


def test_a_variable_that_nobody_gives_is_found(lab: Path, build: Build) -> None:
    config = lab / "apps" / "hello-world" / "config.yaml"
    config.write_text(config.read_text().replace("PLEX_NAME:=nowhere", "PLEX_NAMES"))

    with pytest.raises(ValueError, match=r'variable not set .*"PLEX_NAMES"'):
        build(lab, "apps/hello-world")


def test_the_wheel_has_what_init_lays_down(tmp_path: Path) -> None:
    uv("build", "--wheel", "-q", "--out-dir", str(tmp_path))
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())

    for folder in ("apps", "clusters/omniplex"):
        for file in (CHECKOUT / folder).rglob("*.yaml"):
            assert f"plexctl/builtin/{file.relative_to(CHECKOUT)}" in packed
