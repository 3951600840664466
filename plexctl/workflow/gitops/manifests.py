"""YAML files of Kubernetes objects, as far as it matters whether there are secrets in them.

No message quotes a value: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

_TEXT, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
VALUES = ("data", "stringData")
ENCRYPTED = "ENC["


@dataclass(frozen=True, slots=True)
class ManifestFault:
    """What keeps a file from being a manifest of Secrets."""

    line: int  # 1-based
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document of a file, or one item of a list in it. Without `fields` it is no mapping."""

    line: int
    fields: Mapping[str, yaml.Node] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return _text(self.fields.get("kind"))

    @property
    def name(self) -> str:
        return _text(_fields(self.fields.get("metadata")).get("name")) or "without a name"

    @property
    def sealed(self) -> bool:
        """Whether SOPS has been at it."""
        return "mac" in _fields(self.fields.get("sops"))

    @property
    def secrets(self) -> Iterator[tuple[str, yaml.Node]]:
        """What is in `data` and `stringData`, by field."""
        for field_ in VALUES:
            node = self.fields.get(field_)
            if isinstance(node, yaml.MappingNode):
                yield from ((f"{field_}.{name}", value) for name, value in _fields(node).items())
            elif node is not None and node.tag != _NULL:
                yield field_, node

    @property
    def plain(self) -> Iterator[tuple[str, yaml.Node]]:
        """Those of them that are not encrypted. SOPS leaves nothing as it is but empty text."""
        for path, node in self.secrets:
            is_empty = isinstance(node, yaml.ScalarNode) and (node.tag == _NULL or not node.value)
            if not is_empty and not (self.sealed and _text(node).startswith(ENCRYPTED)):
                yield path, node


class UnreadableError(Exception):
    """A document that is no YAML; those before it were handed out."""

    def __init__(self, fault: ManifestFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def manifests(content: bytes) -> Iterator[Manifest]:
    """The documents of a file, in order. Raises UnreadableError at the first that is no YAML."""
    line = 1
    try:
        loader = yaml.CSafeLoader(content)
        try:
            while loader.check_node():
                node = loader.get_node()
                assert node is not None
                line = node.start_mark.line + 1
                yield Manifest(line, _fields(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = re.sub(r"(['\"]).*\w.*\1", "…", error.problem or "")
        raise UnreadableError(
            ManifestFault(mark.line + 1 if mark else line, f"is not valid YAML: {problem}")
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise UnreadableError(
            ManifestFault(line, "is no text, or holds itself through an anchor")
        ) from None


def secrets_in(manifest: Manifest) -> Iterator[Manifest]:
    """The Secrets that a document holds: itself, or items of a list."""
    if manifest.kind == "Secret":
        yield manifest
    items = manifest.fields.get("items")
    if manifest.kind in ("List", "SecretList") and isinstance(items, yaml.SequenceNode):
        for item in items.value:
            one = Manifest(item.start_mark.line + 1, _fields(item))
            if one.kind == "Secret" or manifest.kind == "SecretList":
                # What SOPS writes is in the document, not in its items.
                outer = {"sops": manifest.fields["sops"]} if "sops" in manifest.fields else {}
                yield Manifest(one.line, {**one.fields, **outer})


def is_sealed(content: bytes) -> bool:
    """Whether a file is encrypted by SOPS: some document of it is."""
    try:
        return b"sops" in content and any(one.sealed for one in manifests(content))
    except UnreadableError:
        return False


def faults(content: bytes) -> list[ManifestFault]:
    """What is wrong with a manifest that should have nothing but Secrets, not yet encrypted."""
    found: list[ManifestFault] = []
    empty = True
    try:
        for manifest in manifests(content):
            empty = False
            found += _faults(manifest)
    except UnreadableError as unreadable:
        return [*found, unreadable.fault]
    return [ManifestFault(1, "is empty", "it must have a Secret")] if empty else found


def _faults(manifest: Manifest) -> Iterator[ManifestFault]:
    if not manifest.fields:
        hint = "each between `---` and the next must be a Secret"
        yield ManifestFault(manifest.line, "has a document that is empty or no mapping", hint)
        return
    if manifest.kind != "Secret":
        what = f"`kind: {manifest.kind}`" if manifest.kind else "no kind"
        hint = "put what is no Secret into a file of its own, and Secrets one after another"
        yield ManifestFault(manifest.line, f"has {what}: only `kind: Secret` is encrypted", hint)
        return
    if manifest.sealed:
        yield ManifestFault(
            manifest.line,
            "is encrypted in part",
            "bring back the version that plexctl wrote, and change that: `plexctl secret edit`",
        )
        return
    notes = _fields(_fields(manifest.fields.get("metadata")).get("annotations"))
    if _COPY in notes:
        line = notes[_COPY].start_mark.line + 1
        yield ManifestFault(
            line, f"repeats its data in the annotation {_COPY}", "remove the annotation"
        )
    given = [name for name in VALUES if name in manifest.fields]
    for name in given or VALUES[1:]:
        node = manifest.fields.get(name)
        if not (isinstance(node, yaml.MappingNode) and node.value):
            # SOPS would leave comments in there as they are.
            line = node.start_mark.line + 1 if node else manifest.line
            yield ManifestFault(
                line, f"has nothing in {name}", f"give it `name: value`, or no {name}"
            )
        else:
            yield from _doubled(name, node)
    for path, node in manifest.secrets:
        if "." in path and node.tag not in (_TEXT, _NULL):
            # SOPS keeps numbers and dates as such: 0123 would become 83.
            line = node.start_mark.line + 1
            yield ManifestFault(line, f"has a value that is no text: {path}", "put it in quotes")


def _doubled(name: str, node: yaml.MappingNode) -> Iterator[ManifestFault]:
    seen = set[str]()
    for key, _ in node.value:
        text = _text(key)
        if text in seen:
            yield ManifestFault(key.start_mark.line + 1, f"gives {name}.{text} twice")
        seen.add(text)


def _fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The entries of a mapping, with what `<<` merges into it; none of anything else."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    merged: dict[str, yaml.Node] = {}
    own: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            several = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for one in several:
                merged = {**_fields(one), **merged}
        elif isinstance(key, yaml.ScalarNode):
            own[key.value] = value
    return {**merged, **own}


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
