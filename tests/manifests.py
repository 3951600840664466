"""Whether Kubernetes objects fit to their schemas, unknown fields included."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Schemas:
    """The schemas of Kubernetes' own kinds, from a folder of OpenAPI v3 files, and of CRDs."""

    def __init__(self, openapi: Path) -> None:
        self._openapi = openapi
        self._known: dict[tuple[str, str], Draft202012Validator] = {}
        self._read: set[str] = set()

    def add_crds(self, documents: Iterable[Any]) -> None:
        """Learn the kinds that CustomResourceDefinitions among `documents` declare."""
        core = json.loads((self._openapi / "api__v1_openapi.json").read_text())
        components = strict(core["components"])
        for crd in documents:
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            for version in crd["spec"]["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                # A CRD says nothing of metadata: it is the same everywhere.
                schema["properties"]["metadata"] = {"$ref": f"#/components/schemas/{META}"}
                schema["components"] = components
                key = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                self._known[key] = Draft202012Validator(schema)

    def problems(self, item: Any) -> list[str]:
        """The problems of an object, each with its place; a kind without a schema is a problem."""
        key = item["apiVersion"], item["kind"]
        if key not in self._known:
            self._learn(item["apiVersion"])
        name = f"{item['kind']} {item['metadata']['name']}"
        if key not in self._known:
            return [f"{name}: no schema of {key[1]} in {key[0]}"]
        return [
            f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in self._known[key].iter_errors(item)
        ]

    def _learn(self, version: str) -> None:
        name = f"apis__{version.replace('/', '__')}" if "/" in version else f"api__{version}"
        file = self._openapi / f"{name}_openapi.json"
        if version in self._read or not file.exists():
            return
        self._read.add(version)
        components = strict(json.loads(file.read_text())["components"])
        for title, schema in components["schemas"].items():
            for kind in schema.get("x-kubernetes-group-version-kind", ()):
                full = "/".join(part for part in (kind["group"], kind["version"]) if part)
                if full == version:
                    self._known[version, kind["kind"]] = Draft202012Validator(
                        {"$ref": f"#/components/schemas/{title}", "components": components}
                    )


def strict(schema: Any) -> Any:
    """`schema` that takes no fields it does not name, where it names any."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: strict(part) for name, part in value.items()}
        if key in ("properties", "schemas")
        else strict(value)
        for key, value in schema.items()
    }
    if isinstance(made.get("properties"), dict) and not _open(schema):
        made["additionalProperties"] = False
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made


def _open(schema: dict[str, Any]) -> bool:
    return (
        "additionalProperties" in schema
        or schema.get("x-kubernetes-preserve-unknown-fields") is True
    )


def documents(*files: Path) -> Iterator[Any]:
    """All YAML documents of `files`."""
    for file in files:
        yield from (item for item in yaml.safe_load_all(file.read_text()) if item)
