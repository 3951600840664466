"""Finding Secrets, and values that are not encrypted, in YAML files of Kubernetes objects.

No message quotes a value, because it may be a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from plexctl.config.bounded import TREE_NODES, BoundError, check_yaml

_TEXT, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_MERGE, _BINARY = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:binary"
_SECRET = yaml.ScalarNode(_TEXT, "Secret")
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
VALUES = ("data", "stringData")
ENCRYPTED = "ENC["


@dataclass(frozen=True, slots=True)
class ManifestFault:
    """One reason why a file cannot be encrypted as a manifest of Secrets."""

    line: int  # 1-based
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A document of a file, or an item of a List in it. `fields` is empty if it is no mapping."""

    line: int
    fields: Mapping[str, yaml.Node] = field(default_factory=dict)
    overridden: Sequence[tuple[str, yaml.Node]] = ()
    """Fields that another one of the same name replaces; their text is in the file all the same."""

    @property
    def kind(self) -> str:
        return text_of(self.fields.get("kind"))

    @property
    def name(self) -> str:
        return text_of(fields_of(self.fields.get("metadata")).get("name")) or "without a name"

    @property
    def encrypted(self) -> bool:
        """Whether SOPS has encrypted it; values that were added later may be plain."""
        return "mac" in fields_of(self.fields.get("sops"))

    @property
    def secrets(self) -> Iterator[tuple[str, yaml.Node]]:
        """The values of `data` and `stringData`, each with its field, as in "data.password"."""
        for field_, node in (*self.fields.items(), *self.overridden):
            if field_ not in VALUES:
                continue
            if isinstance(node, yaml.MappingNode):
                yield from ((f"{field_}.{name}", value) for name, value in entries(node))
            elif node.tag != _NULL:
                yield field_, node

    @property
    def plain(self) -> Iterator[tuple[str, yaml.Node]]:
        """The values that are not encrypted, except empty ones, which SOPS leaves as they are."""
        for path, node in self.secrets:
            is_empty = isinstance(node, yaml.ScalarNode) and (node.tag == _NULL or not node.value)
            if not is_empty and not (self.encrypted and text_of(node).startswith(ENCRYPTED)):
                yield path, node
        annotations = fields_of(fields_of(self.fields.get("metadata")).get("annotations"))
        if _COPY in annotations:
            yield f"metadata.annotations.{_COPY}", annotations[_COPY]


class UnreadableError(Exception):
    """A document that is not valid YAML. The documents before it were returned already."""

    def __init__(self, fault: ManifestFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def manifests(content: bytes) -> Iterator[Manifest]:
    """The documents of a file, in order. UnreadableError at the first that is not valid YAML."""
    return (document(node) for node in nodes(content))


def nodes(content: bytes) -> Iterator[yaml.Node]:
    """The root nodes of the documents of a file. UnreadableError as `manifests`."""
    line = 1
    try:
        _check_bounds(content)
        loader = yaml.CSafeLoader(content)
        try:
            while loader.check_node():
                node = loader.get_node()
                assert node is not None
                line = node.start_mark.line + 1
                if isinstance(node, yaml.MappingNode):
                    fields_of(node)  # raises if it merges itself
                yield node
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = re.sub(r"(['\"]).*\w.*\1", "…", error.problem or "")
        raise UnreadableError(
            ManifestFault(mark.line + 1 if mark else line, f"not valid YAML: {problem}")
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise UnreadableError(
            ManifestFault(line, "is not text, or contains itself through an anchor")
        ) from None


def _check_bounds(content: bytes) -> None:
    try:
        check_yaml(content, cycles=True, most_nodes=TREE_NODES)
    except BoundError:
        raise
    except yaml.YAMLError:
        return  # the documents before this fault are still read


def document(node: yaml.Node) -> Manifest:
    """The manifest of a root node."""
    fields = fields_of(node)
    other = tuple((name, one) for name, one in entries(node) if fields[name] is not one)
    return Manifest(node.start_mark.line + 1, fields, other)


def secrets_in(manifest: Manifest) -> Iterator[Manifest]:
    """The Secrets in a document: itself, or items of a List, also of a List in a List.

    A document with `stringData` and without a kind counts: a patch of a Secret may be like that.
    """
    yield from _secrets_in(manifest, set())


def _secrets_in(manifest: Manifest, found: set[int]) -> Iterator[Manifest]:
    kinds = {manifest.kind} | {
        text_of(node) for name, node in manifest.overridden if name == "kind"
    }
    if "Secret" in kinds or (kinds == {""} and "stringData" in manifest.fields):
        yield manifest
    items = manifest.fields.get("items")
    if not isinstance(items, yaml.SequenceNode) or id(items) in found:
        return
    found.add(id(items))  # an alias can repeat a list, and a list can contain itself
    for item in items.value:
        one = document(item)
        if "SecretList" in kinds and not one.kind:
            one = replace(one, fields={**one.fields, "kind": _SECRET})
        if "sops" in manifest.fields:
            # SOPS adds its metadata to the document, not to the items.
            one = replace(one, fields={**one.fields, "sops": manifest.fields["sops"]})
        yield from _secrets_in(one, found)


def is_encrypted(content: bytes) -> bool:
    """Whether SOPS has encrypted a document of a file."""
    try:
        return b"sops" in content and any(one.encrypted for one in manifests(content))
    except UnreadableError:
        return False


def faults(content: bytes) -> list[ManifestFault]:
    """Why `content` cannot be encrypted: it must be nothing but Secrets, none encrypted yet."""
    found: list[ManifestFault] = []
    empty = True
    try:
        for manifest in manifests(content):
            empty = False
            found += _faults(manifest)
    except UnreadableError as unreadable:
        return [*found, unreadable.fault]
    return [ManifestFault(1, "is empty", "write a Secret into the file")] if empty else found


def _faults(manifest: Manifest) -> Iterator[ManifestFault]:
    if not manifest.fields:
        hint = "remove it: each document between two `---` must be a Secret"
        yield ManifestFault(manifest.line, "a document is empty, or not a mapping", hint)
        return
    if manifest.kind != "Secret":
        kind = f"`kind: {manifest.kind}`" if manifest.kind else "no `kind`"
        hint = "move other objects, and lists, to a file of their own"
        yield ManifestFault(
            manifest.line, f"an object has {kind}: only `kind: Secret` can be encrypted", hint
        )
        return
    if manifest.encrypted:
        yield ManifestFault(
            manifest.line,
            "the Secret is encrypted only in part",
            "restore the encrypted version, and change that with `plexctl secret edit`",
        )
        return
    notes = fields_of(fields_of(manifest.fields.get("metadata")).get("annotations"))
    if _COPY in notes:
        line = notes[_COPY].start_mark.line + 1
        yield ManifestFault(
            line, f"the annotation {_COPY} contains a copy of the values", "remove the annotation"
        )
    given = [name for name in VALUES if name in manifest.fields]
    for name in given or VALUES[1:]:
        node = manifest.fields.get(name)
        if not (isinstance(node, yaml.MappingNode) and node.value):
            # SOPS would leave comments in an empty mapping as plain text.
            line = node.start_mark.line + 1 if node else manifest.line
            yield ManifestFault(
                line, f"`{name}` has no values", f"write `name: value` below it, or remove `{name}`"
            )
        else:
            yield from _doubled(name, node)
    for path, node in manifest.secrets:
        if "." in path and node.tag not in (_TEXT, _NULL):
            # SOPS keeps the type of numbers and dates: 0123 would become 83.
            line = node.start_mark.line + 1
            yield ManifestFault(
                line, f"the value of `{path}` is not text", "put the value in quotes"
            )


def _doubled(name: str, node: yaml.MappingNode) -> Iterator[ManifestFault]:
    names = set[str]()
    for key, _ in node.value:
        text = text_of(key)
        if text in names:
            yield ManifestFault(
                key.start_mark.line + 1, f"`{name}.{text}` is given twice", "remove one of them"
            )
        names.add(text)


def fields_of(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The entries of a mapping, with those that `<<` merges into it; none of any other node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    merged: dict[str, yaml.Node] = {}
    own: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            for one in _several(value):
                merged = {**fields_of(one), **merged}
        elif isinstance(key, yaml.ScalarNode):
            own[key.value] = value
    return {**merged, **own}


def entries(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """All entries of a mapping as `fields_of`, also those that another one replaces."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.tag == _MERGE:
            for one in _several(value):
                yield from entries(one)
        elif isinstance(key, yaml.ScalarNode):
            yield key.value, value


def _several(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def text_of(node: yaml.Node | None) -> str:
    """The text of a scalar; empty for any other node."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _BINARY:
        try:
            return base64.b64decode(node.value).decode()
        except ValueError:
            return ""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
