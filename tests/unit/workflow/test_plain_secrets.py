"""`flux push` publishes no Secret in plain text, however and wherever it is written."""

from __future__ import annotations

import pytest

from plexctl.workflow.gitops.plain_secrets import plain_secrets

PLAIN = "kind: Secret\nmetadata: {name: web}\nstringData: {password: canary}\n"
ENCRYPTED = PLAIN.replace("canary", "'ENC[1]'") + "sops: {mac: 'ENC[2]'}\n"
KUSTOMIZATION = "apps/kustomization.yaml"
COPY = "annotations: {kubectl.kubernetes.io/last-applied-configuration: canary}"
DOTENV = "A=ENC[1]\nsops_mac=ENC[2]\n"
SOPS_FILE = "a: ENC[1]\nn: ENC[2]\nempty: ''\nsops: {mac: 'ENC[2]', version: 3}\n"


def found(files: dict[str, str]) -> list[str]:
    reported = plain_secrets({name: text.encode() for name, text in files.items()})
    assert "canary" not in repr(reported)
    return [f"{one.file}:{one.line}: {one.message}" for one in reported]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"kind: ConfigMap\n---\n{PLAIN}", "3: Secret web"),
        ('{"kind": "Secret", "data": {"a": "Zm9v"}}', "1: Secret without a name"),
        ('{\n\t"kind": "Secret",\n\t"data": {"a": "Zm9v"}\n}', "1: Secret without a name"),
        ("kind: List\nitems:\n- kind: Secret\n  data: {a: b}\n", "3: Secret without a name"),
        ("kind: SecretList\nitems:\n- data: {a: b}\n", "3: Secret without a name"),
        (
            "kind: List\nitems:\n- kind: List\n  items:\n  - kind: Secret\n    data: {a: b}\n",
            "5: Secret without a name",
        ),
        ("x: &x {kind: Secret}\n---\n<<: {kind: Secret}\ndata: {a: b}\n", "3: Secret without a na"),
        ("a: &a Secret\nkind: *a\ndata: {a: b}\n", "1: Secret without a name"),
        ("kind: !!binary U2VjcmV0\ndata: {a: b}\n", "1: Secret without a name"),
        ('kind: "Sec\\x72et"\ndata: {a: b}\n', "1: Secret without a name"),
        ("kind: Secret\nstringData: canary\n", "1: Secret without a name"),
        ("stringData: {a: canary}\n", "1: Secret without a name"),
        (f"kind: Secret\nmetadata: {{name: a, {COPY}}}\ndata: {{}}\n", "1: Secret a"),
        (ENCRYPTED.replace("{name: web}", f"{{name: web, {COPY}}}"), "1: Secret web"),
        (ENCRYPTED.replace("Data: {", "Data: {more: canary, "), "1: Secret web"),
        (f"{ENCRYPTED}stringData: {{password: 'ENC[1]'}}\nkind: ConfigMap\n", None),
        (f"{PLAIN}stringData: {{password: 'ENC[1]'}}\nsops: {{mac: 'ENC[2]'}}\n", "1: Secret web"),
        (ENCRYPTED.replace("{pass", "{password: canary, pass"), "1: Secret web"),
        (f"{PLAIN}kind: ConfigMap\n", "1: Secret web"),
        (f"a: [\n---\n{PLAIN}", "3: Secret web"),
        (f"{PLAIN}---\n{{{{ template }}}}: [\n", "1: Secret web"),
        (f"# {{{{- if .x }}}}\n{{{{ if .x }}}}\n{PLAIN}", "3: Secret web"),
        ("kind: Secret\ndata: {a: [canary}\n", "1: a Secret cannot be read: it is not valid YAML"),
        (f"kind: List\nitems:\n- kind: Secret\n  data: {'[' * 60}\n", "3: a Secret cannot be read"),
        ("kind: ConfigMap\ndata: {a: b}\n", None),
        ('kind: Secret\nstringData: {a: ""}\ndata:\n', None),
        (ENCRYPTED, None),
        ("kind: Secret\nmetadata:\n  name: {{ .n }}-x\ndata:\n  a: {{ .a }}\n", None),
        ("kind: Secret\nmetadata:\n  name: {{ .n }}-x\ndata:\n  a: canary\n", "1: Secret -x"),
    ],
)
@pytest.mark.parametrize("name", ["a.yaml", "a.YAML", "a.yml", "a.json", "a.txt", "a.yaml.tmpl"])
def test_a_plain_secret_is_found_whatever_the_file_is_called(
    name: str, text: str, line: str | None
) -> None:
    reported = found({f"apps/{name}": text})
    if line is None:
        assert reported == []
    else:
        (only,) = reported
        assert only.startswith(f"apps/{name}:{line}")


def test_utf_16_is_read() -> None:
    assert len(plain_secrets({"apps/a.txt": PLAIN.encode("utf-16")})) == 1


@pytest.mark.parametrize("name", ["s.yaml", "s.txt", "s.yaml.tmpl", "s"])
def test_a_file_that_a_kustomization_names_must_be_readable(name: str) -> None:
    for text in (f"resources: [{name}]\n", f"patches:\n- path: {name}\n"):
        reported = found({KUSTOMIZATION: text, f"apps/{name}": "kind: ConfigMap\n---\na: [\n"})
        assert [one for one in reported if one.startswith(f"apps/{name}:")]
        assert "a kustomization needs the file" in " ".join(reported)
    assert found({f"apps/{name}": "kind: ConfigMap\n---\na: [\n"}) == []


def test_a_kustomization_must_be_readable() -> None:
    (only,) = found({KUSTOMIZATION: "resources: []\na: [\n"})
    assert only.startswith(f"{KUSTOMIZATION}:")


@pytest.mark.parametrize(
    ("generator", "file", "text", "is_plain"),
    [
        ("literals: [password=canary]", "x", "", True),
        ("literals: [password=]", "x", "", False),
        ("files: [a.txt]", "a.txt", "canary", True),
        ("files: [key=a.txt]", "a.txt", "canary", True),
        ("files: [a.yaml]", "a.yaml", "a: canary\n", True),
        ("files: [a.yaml]", "a.yaml", SOPS_FILE, False),
        ("files: [a.yaml]", "a.yaml", f"b: canary\n{SOPS_FILE}", True),
        ("files: [a.json]", "a.json", '{"data": "ENC[1]", "sops": {"mac": "ENC[1]"}}', False),
        ("files: [a.ini]", "a.ini", "[x]\na = ENC[1]\n[sops]\nmac = ENC[1]\n", False),
        ("files: [a.ini]", "a.ini", "[x]\na = canary\n[sops]\nmac = ENC[1]\n", True),
        ("envs: [secrets.env]", "secrets.env", "A=canary\n", True),
        ("env: secrets.env", "secrets.env", "A=canary\n", True),
        ("envs: [secrets.env]", "secrets.env", DOTENV, False),
        ("envs: [secrets.env]", "secrets.env", f"B=canary\n{DOTENV}", True),
    ],
)
def test_a_generated_secret_is_plain_unless_its_files_are_encrypted(
    generator: str, file: str, text: str, is_plain: bool
) -> None:
    in_field = {
        KUSTOMIZATION: f"secretGenerator:\n- name: web\n  {generator}\n",
        f"apps/{file}": text,
    }
    in_file = {
        "apps/generator.yaml": f"kind: SecretGenerator\nmetadata: {{}}\n{generator}\n",
        f"apps/{file}": text,
    }
    assert bool(found(in_field)) == bool(found(in_file)) == is_plain


TARGET = "  target: {kind: Secret, name: web}\n"


@pytest.mark.parametrize(
    ("patch", "is_plain"),
    [
        ("- patch: |\n    kind: Secret\n    metadata: {name: web}\n    data: {a: canary}\n", True),
        (f"- patch: |\n    kind: Any\n    metadata: {{}}\n    data: {{a: canary}}\n{TARGET}", True),
        ("- patch: |\n    kind: ConfigMap\n    metadata: {}\n    data: {a: canary}\n", False),
        (
            "- patch: |\n    - {op: add, path: /stringData/a, value: canary}\n"
            "  target: {name: web}\n",
            True,
        ),
        (f"- patch: '[{{op: add, path: /data/a, value: canary}}]'\n{TARGET}", True),
        (f"- patch: '[{{op: add, path: /data, value: {{a: canary}}}}]'\n{TARGET}", True),
        (
            "- patch: '[{op: add, path: /data/a, value: canary}]'\n  target: {kind: Se.*}\n",
            True,
        ),
        (
            "- patch: '[{op: add, path: /data/a, value: canary}]'\n  target: {kind: ConfigMap}\n",
            False,
        ),
        (f"- patch: '[{{op: remove, path: /data/a}}]'\n{TARGET}", False),
        ("- patch: '[{op: add, path: /kind, value: Secret}]'\n  target: {name: a}\n", True),
        (f"- patch: '[{{op: add, path: /metadata/labels/a, value: b}}]'\n{TARGET}", False),
        (f"- path: p.yaml\n{TARGET}", True),
        ("- path: p.yaml\n  target: {kind: ConfigMap}\n", False),
    ],
)
def test_a_patch_that_writes_into_a_secret_is_found(patch: str, is_plain: bool) -> None:
    file = {"apps/p.yaml": "- {op: add, path: /data/a, value: canary}\n"}
    indented = "".join(f"  {line}\n" for line in patch.splitlines())
    for text in (
        f"patches:\n{patch}",
        f"kind: Kustomization\nspec:\n  patches:\n{indented}",
    ):
        reported = found({KUSTOMIZATION: text, **file})
        assert bool(reported) == is_plain


def test_older_forms_of_patches_are_found() -> None:
    merge = "patchesStrategicMerge:\n- |-\n  kind: Secret\n  metadata: {}\n  data: {a: canary}\n"
    (only,) = found({KUSTOMIZATION: merge})
    assert only.startswith(f"{KUSTOMIZATION}:2: a patch sets values of a Secret")
    json = f"patchesJson6902:\n- path: p.yaml\n{TARGET}"
    operations = "- {op: replace, path: /data/a, value: canary}\n"
    assert len(found({KUSTOMIZATION: json, "apps/p.yaml": operations})) == 1
    transformer = f"kind: PatchTransformer\nmetadata: {{}}\npath: p.yaml\n{TARGET[2:]}"
    assert len(found({"apps/t.yaml": transformer, "apps/p.yaml": operations})) == 1


def test_a_patch_of_a_helm_release_is_found() -> None:
    rules = f"patches: [{{patch: '[{{op: add, path: /data/a, value: canary}}]', {TARGET.strip()}}}]"
    text = f"kind: HelmRelease\nspec:\n  postRenderers:\n  - kustomize: {{{rules}}}\n"
    assert len(found({"apps/r.yaml": text})) == 1


def test_a_replacement_that_copies_into_a_secret_is_found() -> None:
    target = "targets: [{select: {kind: Secret}, fieldPaths: [data.a]}]"
    for kind, is_plain in (("ConfigMap", True), ("Secret", False)):
        text = f"replacements:\n- source: {{kind: {kind}, name: a}}\n  {target}\n"
        assert bool(found({KUSTOMIZATION: text})) == is_plain


@pytest.mark.parametrize(
    "text",
    ["&a [*a]", "&a {<<: *a}", "kind: List\nitems: &a\n- kind: List\n  items: *a\n"],
)
def test_a_value_that_contains_itself_ends(text: str) -> None:
    found({"apps/a.yaml": text, KUSTOMIZATION: "resources: [a.yaml]\n"})


def test_documentation_may_show_a_secret_in_part() -> None:
    assert found({"apps/README.md": f"# How\n\n```yaml\n{PLAIN}```\n: [\n"}) == []
