"""Finding plain Secrets in the tree that `plexctl flux push` publishes, before it is published.

Files are judged as Flux and kustomize would use them: documents, generators and patches. Nothing
is rendered. No message quotes a value, because it may be a secret.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import yaml

from plexctl.config.bounded import pattern_matches
from plexctl.workflow.gitops.manifests import (
    ENCRYPTED,
    VALUES,
    Manifest,
    ManifestFault,
    UnreadableError,
    document,
    fields_of,
    nodes,
    secrets_in,
    text_of,
)
from plexctl.workflow.gitops.tree_files import KUSTOMIZATIONS

ENDINGS = (".yaml", ".yml", ".json")

MANIFEST_FIELDS = (
    "resources",
    "components",
    "bases",
    "crds",
    "generators",
    "transformers",
    "validators",
    "replacements",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
)
"""Fields of a kustomization that name files of YAML. Other fields name files of any kind."""

_NULL = "tag:yaml.org,2002:null"
_SEPARATOR = re.compile(rb"^---(?=\s|$)", re.MULTILINE)
_EXPRESSION = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
_SECRET_TEXT = re.compile(rb"""\bkind["']?\s*:\s*["']?Secret(List)?\b""")
_VALUES_TEXT = re.compile(rb"""\b(data|stringData)["']?\s*:""")
_DOTENV_MAC = re.compile(rb"^sops_mac=ENC\[", re.MULTILINE)
_INI_MAC = re.compile(rb"^\[sops\]\s(?:.*\n)*?mac\s*=\s*ENC\[", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlainSecret:
    """Why a file of the tree is not published. `file` is its path in the lab."""

    file: str
    line: int  # 1-based
    message: str


def plain_secrets(files: Mapping[str, bytes]) -> list[PlainSecret]:
    """The plain Secrets in `files`, and the files that cannot be judged because they are broken.

    A file that a kustomization names must be valid YAML, whatever its name ends with. Of any other
    file that is not, the documents that can be read are judged, and the text of the rest.
    """
    tree = _Tree(files)
    found = set[PlainSecret]()
    for file in files:
        try:
            found.update(tree.judge(file))
        except RecursionError:
            found.add(PlainSecret(file, 1, "a value contains itself through an anchor"))
    return sorted(found, key=lambda one: (one.file, one.line, one.message))


class _Tree:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._roots: dict[str, tuple[list[yaml.Node], ManifestFault | None]] = {}
        self._named = {
            posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
            for file in files
            if _is_kustomization(file)
            for root in self._read(file)[0]
            for field in MANIFEST_FIELDS
            for name in _texts(fields_of(root).get(field))
        }

    def judge(self, file: str) -> Iterator[PlainSecret]:
        content = self._files[file]
        must_be_valid = file in self._named or _is_kustomization(file)
        if not must_be_valid and not file.lower().endswith(ENDINGS) and not _may_be_yaml(content):
            return
        roots, fault = self._read(file)
        for root in roots:
            yield from self._judge_document(file, document(root), _is_kustomization(file))
        if fault and must_be_valid:
            yield PlainSecret(file, fault.line, f"{fault.message}; a kustomization needs the file")
        if fault:
            yield from self._judge_chunks(file, content)

    def _read(self, file: str) -> tuple[list[yaml.Node], ManifestFault | None]:
        """The documents of a file up to the first that is not valid, and its fault."""
        if file not in self._roots:
            self._roots[file] = _read(self._files[file])
        return self._roots[file]

    def _judge_document(
        self, file: str, manifest: Manifest, kustomization: bool = False
    ) -> Iterator[PlainSecret]:
        for secret in secrets_in(manifest):
            if any(secret.plain):
                yield PlainSecret(file, secret.line, f"Secret {secret.name}")
        spec = fields_of(manifest.fields.get("spec"))
        if kustomization or manifest.kind in ("Kustomization", "Component"):
            yield from self._judge_kustomization(file, manifest.fields)
            yield from self._judge_kustomization(file, spec)
        elif manifest.kind == "SecretGenerator":
            yield from self._judge_generator(file, manifest.fields, manifest.line)
        elif manifest.kind.startswith("Patch") and manifest.kind.endswith("Transformer"):
            yield from self._judge_patch(file, manifest.fields, manifest.line)
        elif manifest.kind == "HelmRelease":
            for renderer in _items(spec.get("postRenderers")):
                rules = fields_of(fields_of(renderer).get("kustomize"))
                yield from self._judge_kustomization(file, rules)

    def _judge_kustomization(
        self, file: str, fields: Mapping[str, yaml.Node]
    ) -> Iterator[PlainSecret]:
        for one in _items(fields.get("secretGenerator")):
            yield from self._judge_generator(file, fields_of(one), one.start_mark.line + 1)
        for field in ("patches", "patchesJson6902"):
            for one in _items(fields.get(field)):
                yield from self._judge_patch(file, fields_of(one), one.start_mark.line + 1)
        for one in _items(fields.get("patchesStrategicMerge")):
            if "\n" in text_of(one):  # the others are paths of files
                yield from self._judge_patch(file, {"patch": one}, one.start_mark.line + 1)
        for field in ("generators", "transformers", "resources"):
            for one in _items(fields.get(field)):
                if "\n" in text_of(one):
                    for root in _read(text_of(one).encode())[0]:
                        for inner in self._judge_document(file, document(root)):
                            yield replace(inner, line=one.start_mark.line + 1)
        for one in _items(fields.get("replacements")):
            yield from self._judge_replacement(file, fields_of(one), one.start_mark.line + 1)

    def _judge_generator(
        self, file: str, fields: Mapping[str, yaml.Node], line: int
    ) -> Iterator[PlainSecret]:
        """Flux decrypts the files of a generator, and nothing else of it."""
        title = f"secretGenerator {text_of(fields.get('name')) or 'without a name'}"
        for one in _items(fields.get("literals")):
            if text_of(one).partition("=")[2]:
                line = one.start_mark.line + 1
                yield PlainSecret(file, line, f"{title}: a literal is plain text")
        sources = [*_items(fields.get("files")), *_items(fields.get("envs"))]
        for one in (*sources, *_items(fields.get("env"))):
            name = text_of(one).rpartition("=")[2]
            source = posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
            if self._files.get(source) and not _is_sops_file(self._files[source]):
                line = one.start_mark.line + 1
                yield PlainSecret(
                    file, line, f"{title}: {source} is not encrypted, or not completely"
                )

    def _judge_patch(
        self, file: str, fields: Mapping[str, yaml.Node], line: int
    ) -> Iterator[PlainSecret]:
        kind = fields_of(fields.get("target")).get("kind")
        is_targeted = _matches_secret(text_of(kind)) if text_of(kind) else None
        texts = [text_of(fields.get(name)) for name in ("patch", "jsonOp")]
        sources = [text.encode() for text in texts if text]
        path = text_of(fields.get("path"))
        named = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        if path and named in self._files:
            sources.append(self._files[named])
        for source in sources:
            roots, fault = _read(source)
            if fault:
                yield PlainSecret(file, line, f"a patch cannot be read: {fault.message}")
            if any(_sets_secret(root, is_targeted) for root in roots):
                yield PlainSecret(file, line, "a patch sets values of a Secret in plain text")

    def _judge_replacement(
        self, file: str, fields: Mapping[str, yaml.Node], line: int
    ) -> Iterator[PlainSecret]:
        if text_of(fields_of(fields.get("source")).get("kind")) == "Secret":
            return
        for target in map(fields_of, _items(fields.get("targets"))):
            kind = text_of(fields_of(target.get("select")).get("kind"))
            paths = map(text_of, _items(target.get("fieldPaths")))
            if _matches_secret(kind) and any(path.startswith(VALUES) for path in paths):
                yield PlainSecret(
                    file, line, "a replacement copies values that are not of a Secret into one"
                )

    def _judge_chunks(self, file: str, content: bytes) -> Iterator[PlainSecret]:
        """Judge each document of a broken file by itself, without expressions of templates."""
        starts = [0, *(found.start() for found in _SEPARATOR.finditer(content))]
        for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
            line = content.count(b"\n", 0, start)
            chunk = content[start:end]
            roots, fault = _read(chunk)
            if fault:
                roots, fault = _read(_EXPRESSION.sub(b"", chunk))
            for root in roots:
                for secret in secrets_in(document(root)):
                    if any(secret.plain):
                        yield PlainSecret(file, line + secret.line, f"Secret {secret.name}")
            text = _SECRET_TEXT.search(chunk)
            if fault and text and _VALUES_TEXT.search(chunk) and not file.endswith(".md"):
                line += chunk.count(b"\n", 0, text.start()) + 1
                yield PlainSecret(file, line, "a Secret cannot be read: it is not valid YAML")


def _is_kustomization(file: str) -> bool:
    return PurePosixPath(file).name in KUSTOMIZATIONS


def _may_be_yaml(content: bytes) -> bool:
    """Whether text of a file that nothing names as YAML could be a Secret in any spelling."""
    return any(text in content for text in (b"Secret", b"stringData", b"\\", b"binary", b"e\0c\0"))


def _read(content: bytes) -> tuple[list[yaml.Node], ManifestFault | None]:
    found: list[yaml.Node] = []
    try:
        for node in nodes(content):
            found.append(node)
    except UnreadableError as error:
        try:
            # YAML allows no tabs before a value; JSON does.
            return list(nodes(json.dumps(json.loads(content)).encode())), None
        except (ValueError, RecursionError, UnreadableError):
            return found, error.fault
    return found, None


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    """The items of a list; a scalar is a list of one."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [node] if isinstance(node, yaml.ScalarNode) else []


def _texts(node: yaml.Node | None) -> Iterator[str]:
    """The paths in a field of a kustomization: items, and values of `path` in items."""
    for item in _items(node):
        text = text_of(item) or text_of(fields_of(item).get("path"))
        if text and "\n" not in text:
            yield text


def _matches_secret(kind: str) -> bool:
    """Whether a selector's kind, a regular expression, selects Secrets. Without one it does."""
    try:
        return not kind or pattern_matches(kind, "Secret", whole=True)
    except ValueError:
        return True


def _sets_secret(root: yaml.Node, is_targeted: bool | None) -> bool:
    """Whether a patch writes a plain value into a Secret.

    `is_targeted` is None if the kind of the patch's target is not given.
    """
    if isinstance(root, yaml.SequenceNode):
        return any(_operation_sets_secret(fields_of(one), is_targeted) for one in root.value)
    manifest = document(root)
    if any(any(secret.plain) for secret in secrets_in(manifest)):
        return True
    given = [path for path, _ in manifest.plain]
    if any(path.startswith("stringData") for path in given):
        return True
    return bool(given) and (is_targeted or (is_targeted is None and not manifest.kind))


def _operation_sets_secret(fields: Mapping[str, yaml.Node], is_targeted: bool | None) -> bool:
    path = text_of(fields.get("path")).strip("/")
    value = fields.get("value")
    if value is None:
        return False
    first = path.partition("/")[0]
    if first == "kind":
        return text_of(value) == "Secret"
    if not path:
        return _sets_secret(value, is_targeted)
    if first == "stringData" or (first == "data" and is_targeted is not False):
        return _has_plain_value(value)
    return False


def _has_plain_value(node: yaml.Node) -> bool:
    """Whether a value contains a scalar that SOPS has not encrypted and that is not empty."""
    waiting, found = [node], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in found:
            continue
        found.add(id(one))
        if isinstance(one, yaml.SequenceNode):
            waiting += one.value
        elif isinstance(one, yaml.MappingNode):
            waiting += [v for key, v in one.value if not text_of(key).endswith("_unencrypted")]
        elif one.tag != _NULL and one.value and not one.value.startswith(ENCRYPTED):
            return True
    return False


def _is_sops_file(content: bytes) -> bool:
    """Whether SOPS has encrypted a file, in one of its formats, and no plain value was added.

    A file of which SOPS was to encrypt some fields only (`encrypted_regex`) counts as encrypted.
    """
    ini = _INI_MAC.search(content)
    if ini or _DOTENV_MAC.search(content):
        # SOPS appends its section to an INI file.
        text = content[: ini.start()] if ini else content
        lines = (line.strip() for line in text.splitlines())
        pairs = (line.partition(b"=") for line in lines if line and line[:1] not in b"#;[")
        return all(
            name.startswith(b"sops_") or not value or value.strip().startswith(b"ENC[")
            for name, _, value in pairs
        )
    roots, fault = _read(content)
    if fault or not roots:
        return False
    return all(_is_sops_document(fields_of(root)) for root in roots)


def _is_sops_document(fields: Mapping[str, yaml.Node]) -> bool:
    settings = fields_of(fields.get("sops"))
    if not text_of(settings.get("mac")).startswith(ENCRYPTED):
        return False
    partial = ("encrypted_regex", "encrypted_suffix", "unencrypted_regex")
    if any(text_of(settings.get(name)) for name in partial):
        return True
    return not any(_has_plain_value(value) for name, value in fields.items() if name != "sops")
