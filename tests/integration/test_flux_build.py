"""flux-build: what Flux would apply of a tree, by the controller's own packages.

The program runs on this machine, without a cluster; SOPS is the one of the depot.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.flux_build import BuiltObject, FluxBuild
from plexctl.clients.sops import Sops
from plexctl.errors import PlexError
from plexctl.keys.age import identity_file, sops_recipient

from ..unit.conftest import SEED
from .support import go_program, stored_program

Document = dict[str, Any]
SOPS = {"provider": "sops", "secretRef": {"name": "sops-age"}}
WEB = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: shop}
data: {colour: red}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go_program("flux-build", tmp_path_factory.mktemp("flux-build"))


@pytest.fixture(scope="module")
def sops(tmp_path_factory: pytest.TempPathFactory) -> Sops:
    binary = stored_program("sops", "sops", tmp_path_factory.mktemp("sops"))
    return Sops(binary, identity_file(SEED, 1), sops_recipient(SEED, 1))


NO_SOPS = Sops(Path("/nonexistent/sops"), identity_file(SEED, 1), "")


class Tree:
    """A source in a folder; `apps` is the folder that a Kustomization builds."""

    def __init__(self, program: Path, root: Path) -> None:
        self.program, self.root = program, root

    def write(self, name: str, text: str | bytes) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def objects(
        self, variables: dict[str, str] | None = None, sops: Sops = NO_SOPS, **spec: Any
    ) -> dict[str, BuiltObject]:
        document = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "flux-system"},
            "spec": {
                "interval": "1m",
                "path": "./apps",
                "prune": True,
                "sourceRef": {"kind": "OCIRepository", "name": "plex"},
                **spec,
            },
        }
        found = FluxBuild(self.program, self.root, sops).build(document, variables or {})
        return {one.id: one for one in found}

    def one(self, variables: dict[str, str] | None = None, **spec: Any) -> Document:
        (found,) = self.objects(variables, **spec).values()
        return found.document


@pytest.fixture
def tree(program: Path, tmp_path: Path) -> Tree:
    made = Tree(program, tmp_path / "source")
    made.write("apps/web.yaml", WEB)
    return made


@pytest.mark.parametrize("value", ["=", "2026-11-29", "0x1F", "1_000", "yes", "12:30:00"])
def test_texts_that_yaml_1_1_takes_for_something_else_stay_texts(tree: Tree, value: str) -> None:
    tree.write("apps/web.yaml", WEB.replace("red", f'"{value}"'))
    assert tree.one()["data"] == {"colour": value}


def test_an_enum_of_equals_signs(tree: Tree) -> None:
    """The sign is a value of its own type in YAML 1.1; CRDs have it in enums of operators."""
    tree.write(
        "apps/web.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: rules.example.com}\nspec:\n  group: example.com\n"
        "  names: {kind: Rule, plural: rules}\n  scope: Namespaced\n"
        "  versions:\n  - name: v1\n    served: true\n    storage: true\n"
        "    schema: {openAPIV3Schema: {type: object, properties: {operator:\n"
        "      {type: string, enum: [=, '!=', '=~']}}}}\n",
    )
    (found,) = tree.objects().values()
    schema = found.document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["operator"]["enum"] == ["=", "!=", "=~"]
    assert found.id == "_rules.example.com_apiextensions.k8s.io_CustomResourceDefinition"


def test_a_folder_without_a_kustomization_is_all_of_its_manifests(tree: Tree) -> None:
    tree.write("apps/more/b.yaml", WEB.replace("name: web", "name: b"))
    tree.write("apps/own/kustomization.yaml", "resources: [c.yaml]\nnamePrefix: own-\n")
    tree.write("apps/own/c.yaml", WEB.replace("name: web", "name: c"))
    tree.write("apps/own/unused.yaml", WEB.replace("name: web", "name: unused"))
    tree.write("apps/notes.txt", "no manifest")
    names = sorted(one.document["metadata"]["name"] for one in tree.objects().values())
    assert names == ["b", "own-c", "web"]
    assert not (tree.root / "apps" / "kustomization.yaml").exists(), "the source is only read"


def test_fields_of_the_kustomization_change_the_objects(tree: Tree) -> None:
    tree.write("extra/kustomization.yaml", COMPONENT)
    tree.write(
        "apps/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
        "spec:\n  selector: {matchLabels: {app: web}}\n  template:\n"
        "    metadata: {labels: {app: web}}\n"
        "    spec: {containers: [{name: web, image: 'example.org/web:1'}]}\n",
    )
    patch = '[{"op": "replace", "path": "/data/colour", "value": "blue"}]'
    found = tree.objects(
        patches=[{"patch": patch, "target": {"kind": "ConfigMap"}}],
        images=[{"name": "example.org/web", "newTag": "2"}],
        components=["../extra"],
        targetNamespace="elsewhere",
        namePrefix="a-",
        nameSuffix="-z",
        commonMetadata={"labels": {"team": "shop"}, "annotations": {"note": "="}},
    )
    assert sorted(found) == [
        "elsewhere_a-web-z__ConfigMap",
        "elsewhere_a-web-z_apps_Deployment",
    ]
    config = found["elsewhere_a-web-z__ConfigMap"].document
    assert config["data"] == {"colour": "blue", "from": "a component"}
    assert config["metadata"]["annotations"]["note"] == "="
    assert config["metadata"]["labels"] == {
        "team": "shop",
        "kustomize.toolkit.fluxcd.io/name": "web",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    deployment = found["elsewhere_a-web-z_apps_Deployment"].document
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.org/web:2"


COMPONENT = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: ConfigMap}
    patch: '[{"op": "add", "path": "/data/from", "value": "a component"}]'
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "demo"),
        ("${NAME:=other}", "demo"),
        ("${ABSENT:=other}", "other"),
        ("${ABSENT:-other}", "other"),
        ("${ABSENT}", ""),
        ("${NAME:1}", "emo"),
        ("${NAME:1:2}", "em"),
        ("${NAME^^}", "DEMO"),
        ("${#NAME}", "4"),
        ("${NAME/d/m}", "memo"),
        ("${LINES}", "ab"),
        ("$${NAME}", "${NAME}"),
        ("$NAME", "$NAME"),
    ],
)
def test_variables_and_their_functions(tree: Tree, text: str, value: str) -> None:
    tree.write("apps/web.yaml", WEB.replace("red", f'"x{text}"'))
    variables = {"NAME": "demo", "LINES": "a\nb"}
    post = {"substituteFrom": [{"kind": "ConfigMap", "name": "plex-facts"}]}
    assert tree.one(variables, postBuild=post)["data"] == {"colour": f"x{value}"}
    assert tree.one(variables)["data"] == {"colour": f"x{text}"}, "nothing without postBuild"


def test_inline_variables_go_before_others(tree: Tree) -> None:
    tree.write("apps/web.yaml", WEB.replace("red", '"${COLOUR}"'))
    post = {"substitute": {"COLOUR": "blue"}}
    assert tree.one({"COLOUR": "green"}, postBuild=post)["data"] == {"colour": "blue"}


def test_no_variables_at_all_leave_expressions_as_they_are(tree: Tree) -> None:
    tree.write("apps/web.yaml", WEB.replace("red", '"${COLOUR:=blue}"'))
    assert tree.one(postBuild={})["data"] == {"colour": "${COLOUR:=blue}"}
    always = {"substituteStrategy": "Always"}
    assert tree.one(postBuild=always)["data"] == {"colour": "blue"}


def test_an_object_may_disable_variables(tree: Tree) -> None:
    off = "annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}, name: web"
    tree.write("apps/web.yaml", WEB.replace("red", '"${COLOUR}"').replace("name: web", off))
    assert tree.one({"COLOUR": "blue"}, postBuild={})["data"] == {"colour": "${COLOUR}"}


def test_ids_are_those_of_the_inventory(tree: Tree) -> None:
    tree.write(
        "apps/role.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
        "metadata: {name: 'shop:reader'}\nrules: []\n",
    )
    assert list(tree.objects()) == [
        "_shop__reader_rbac.authorization.k8s.io_ClusterRole",
        "shop_web__ConfigMap",
    ]


def test_fields_to_ignore_belong_to_their_objects(tree: Tree) -> None:
    tree.write("apps/b.yaml", WEB.replace("name: web", "name: b"))
    rules = [{"paths": ["/data/colour"], "target": {"name": "w.*"}}]
    found = tree.objects(ignore=rules)
    assert found["shop_web__ConfigMap"].ignored == ("/data/colour",)
    assert found["shop_b__ConfigMap"].ignored == ()


@pytest.mark.parametrize("path", ["/apps", "../../apps", "./apps/", "apps", "/../apps"])
def test_paths_are_in_the_source_however_they_are_written(tree: Tree, path: str) -> None:
    assert list(tree.objects(path=path)) == ["shop_web__ConfigMap"]


@pytest.mark.parametrize(
    "path", ["/nonexistent", "../..//nonexistent", "apps/web.yaml", "../outside", "/etc", "link"]
)
def test_a_path_that_does_not_exist_is_one_message(tree: Tree, path: str) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "web.yaml").write_text(WEB)
    (tree.root / "link").symlink_to(outside)
    with pytest.raises(PlexError) as caught:
        tree.objects(path=path)
    assert caught.value.summary == f'spec.path: the source has no folder "{path}"'


@pytest.mark.parametrize("name", ["link.yaml", "../../outside.yaml", "/etc/hostname"])
def test_files_outside_of_the_source_are_not_read(tree: Tree, name: str) -> None:
    outside = tree.root.parent / "outside.yaml"
    outside.write_text(WEB.replace("red", "canary"))
    (tree.root / "apps" / "link.yaml").symlink_to(outside)
    tree.write("apps/kustomization.yaml", f"resources: [{name}]\n")
    with pytest.raises(PlexError) as caught:
        tree.objects()
    assert "canary" not in caught.value.summary
    assert "kustomize build failed" in caught.value.summary


def test_a_base_in_git_is_not_cloned(tree: Tree) -> None:
    """git would run a program that the reference names."""
    mark = tree.root.parent / "mark"
    reference = f"file://{tree.root}//apps?ref=--upload-pack=touch {mark};"
    tree.write("apps/kustomization.yaml", f"resources: ['{reference}']\n")
    with pytest.raises(PlexError, match="git repositories are not cloned here"):
        tree.objects()
    assert not mark.exists()


def test_broken_manifests_are_reported_with_their_file(tree: Tree) -> None:
    tree.write("apps/broken.yaml", "kind: ConfigMap\n  metadata: x\n")
    with pytest.raises(PlexError, match=r"apps/broken\.yaml") as caught:
        tree.objects()
    assert str(tree.root) not in caught.value.summary


def test_a_value_that_breaks_the_yaml_is_reported_without_it(tree: Tree) -> None:
    tree.write("apps/web.yaml", WEB.replace("{colour: red}", "\n  colour: ${COLOUR}"))
    with pytest.raises(PlexError) as caught:
        tree.objects({"COLOUR": "canary: }]"}, postBuild={})
    assert caught.value.summary == (
        "ConfigMap shop/web: not valid YAML after its variables are substituted"
    )


SECRET = b"""\
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: shop}
stringData: {word: canary}
"""


def sealed(sops: Sops, tree: Tree, plain: bytes = SECRET) -> bytes:
    return sops.encrypt(plain, tree.root / "key.yaml")


def word(document: Document, name: str = "word") -> bytes:
    return base64.b64decode(document["data"][name])


def test_a_secret_is_decrypted(tree: Tree, sops: Sops) -> None:
    tree.write("apps/web.yaml", sealed(sops, tree))
    (found,) = tree.objects(sops=sops, decryption=SOPS, namePrefix="a-").values()
    assert found.id == "shop_a-key__Secret"
    assert word(found.document) == b"canary"
    assert "sops" not in found.document


def test_a_secret_without_decryption_is_an_error(tree: Tree, sops: Sops) -> None:
    """With `stringData` it is none for Flux: the cluster gets the encrypted text."""
    plain = SECRET.replace(b"stringData: {word: canary}", b"data: {word: Y2FuYXJ5}")
    tree.write("apps/web.yaml", sealed(sops, tree, plain))
    with pytest.raises(PlexError, match=r"Secret/shop/key is encrypted, and the Kustomization"):
        tree.objects()


def test_a_secret_generator_of_encrypted_files(tree: Tree, sops: Sops) -> None:
    """Flux decrypts files that the generator names, also in other folders."""
    tree.write("apps/kustomization.yaml", "resources: [web.yaml, ../keys]\n")
    tree.write(
        "keys/kustomization.yaml",
        "secretGenerator:\n- {name: key, namespace: shop, files: [text.yaml=key.yaml],\n"
        "   options: {disableNameSuffixHash: true}}\n",
    )
    tree.write("keys/key.yaml", sealed(sops, tree))
    found = tree.objects(sops=sops, decryption=SOPS)["shop_key__Secret"]
    assert b"word: canary" in word(found.document, "text.yaml")
    assert b"canary" not in (tree.root / "keys" / "key.yaml").read_bytes()


def test_an_encrypted_patch_is_applied_and_its_errors_are_hidden(tree: Tree, sops: Sops) -> None:
    tree.write("apps/kustomization.yaml", KUSTOMIZATION_WITH_PATCH)
    plain = SECRET.replace(b"Secret", b"ConfigMap").replace(b"name: key", b"name: web")
    tree.write("apps/patch.yaml", sealed(sops, tree, plain.replace(b"stringData", b"data")))
    found = tree.objects(sops=sops, decryption=SOPS)["shop_web__ConfigMap"]
    assert found.document["data"] == {"colour": "red", "word": "canary"}

    tree.write("apps/patch.yaml", sealed(sops, tree, SECRET.replace(b"canary", b"sparrow")))
    with pytest.raises(PlexError) as caught:
        tree.objects(sops=sops, decryption=SOPS)
    assert "sparrow" not in caught.value.summary


KUSTOMIZATION_WITH_PATCH = "resources: [web.yaml]\npatches: [{path: patch.yaml}]\n"


@pytest.fixture
def build(tree: Tree) -> Callable[..., dict[str, BuiltObject]]:
    return tree.objects


def test_any_shape_of_a_spec_is_a_message(build: Callable[..., dict[str, BuiltObject]]) -> None:
    for spec in (
        {"path": 7},
        {"interval": "soon"},
        {"patches": "text"},
        {"patches": [{"patch": "{"}]},
        {"images": [7]},
        {"components": ["https://example.org/x"]},
        {"postBuild": {"substitute": {"a-b": "x"}}},
        {"ignore": [{"paths": ["/x"], "target": {"name": "("}}]},
    ):
        with pytest.raises(PlexError) as caught:
            build(**spec)
        assert "failed with code" not in caught.value.summary, spec
