"""The objects of a cluster in a form in which two clusters can be compared.

UIDs, times, generated names and allocated addresses differ from cluster to cluster. In the normal
form they are holes:

- `${uid:KEY}`: the UID of the object that is stored under KEY;
- `${now}`: a time;
- `${hash}`: the hash of a template, in names and labels;
- `${suffix}`: the random end of a generated name;
- `${address:KEY}`: the address that the API server has chosen for the Service at KEY, or its node
  for the pod at KEY;
- `${id}`: the identifier of a container or a machine.

Counts of changes are 1, as of an object that nobody has changed, and there is no resourceVersion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from plexctl.plan.documents import Document
from plexctl.plan.genesis.holes import replacer

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
IDENTIFIERS = ("bootID", "containerID", "machineID", "systemUUID")
COUNTS = ("generation", "observedGeneration")
HASH_LABELS = ("pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash")
TOKEN_VOLUME = re.compile(r"\bkube-api-access-[a-z0-9]{5}\b")
EMBEDDED = re.compile(r"(?m)^kind: \w+$|^apiVersion: ")
"""Found in texts that are YAML documents themselves, as those in kubeadm's ConfigMaps."""


def normal_form(objects: Mapping[str, Document]) -> dict[str, Document]:
    """`objects` by their keys, both without UIDs, times, versions and generated names.

    As pods of one controller have the same name then, the keys of pods have their node, too.
    """
    rewrite = _rewriter(objects)
    result = {}
    for key, one in objects.items():
        document = map_strings(_lasting(one), rewrite)
        _sort_managers(document)
        node = one["spec"].get("nodeName") if _suffix(one) and one["kind"] == "Pod" else ""
        result[f"{rewrite(key)} on {node}" if node else rewrite(key)] = document
    return dict(sorted(result.items()))


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with every text in it, keys too, replaced by what `change` returns."""
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): map_strings(one, change) for key, one in value.items()}
        case list():
            return [map_strings(one, change) for one in value]
    return value


def canonical_text(text: str) -> str:
    """A YAML document as JSON with sorted keys, so that only its content counts; else `text`."""
    if not EMBEDDED.search(text):
        return text
    try:
        return json.dumps(list(yaml.load_all(text, yaml.CSafeLoader)), sort_keys=True)
    except (yaml.YAMLError, TypeError):
        return text


def _rewriter(objects: Mapping[str, Document]) -> Callable[[str], str]:
    """A function that puts holes into a text."""
    uids, names, addresses = {}, {}, {}
    for key, one in objects.items():
        metadata = one["metadata"]
        if "uid" in metadata:
            uids[metadata["uid"]] = key
        if suffix := _suffix(one):
            names[metadata["name"]] = metadata["name"].removesuffix(suffix) + "${suffix}"
        if address := _allocated(one):
            addresses[address] = key
    hashes = dict.fromkeys((found for one in objects.values() for found in _hashes(one)), "${hash}")
    fresh = re.compile("|".join((TIME.pattern, *map(re.escape, uids))))
    without_names, without_hashes = replacer(names), replacer(hashes)
    without_addresses = replacer({one: f"${{address:{key}}}" for one, key in addresses.items()})

    def rewrite(text: str) -> str:
        def filled(found: re.Match[str]) -> str:
            return f"${{uid:{rewrite(uids[found[0]])}}}" if found[0] in uids else "${now}"

        text = without_names(without_addresses(fresh.sub(filled, text)))
        text = TOKEN_VOLUME.sub("kube-api-access-${suffix}", text)
        return without_hashes(text)

    return rewrite


def _suffix(document: Document) -> str:
    """The random end of a generated name; empty if the name is not generated."""
    metadata = document["metadata"]
    stem = metadata.get("generateName", "")
    return metadata["name"].removeprefix(stem) if stem else ""


def _allocated(document: Document) -> str:
    """The address of a Service that names none, or of a pod in its own network; else empty."""
    match document:
        case {"kind": "Service", "spec": {"clusterIP": str() as address}} if address != "None":
            managers = document["metadata"].get("managedFields", ())
            chosen = any("f:clusterIP" in one["fieldsV1"].get("f:spec", {}) for one in managers)
            return "" if chosen else address
        case {"kind": "Pod", "status": {"podIP": str() as address, "hostIP": host}}:
            return "" if address == host else address
    return ""


def _hashes(document: Document) -> list[str]:
    labels = document["metadata"].get("labels") or {}
    return [labels[name] for name in HASH_LABELS if name in labels]


def _lasting(value: Any) -> Any:
    """`value` without versions, and with holes for identifiers."""
    match value:
        case dict():
            fresh = {**dict.fromkeys(IDENTIFIERS, "${id}"), **dict.fromkeys(COUNTS, 1)}
            return {
                key: fresh[key] if key in fresh else _lasting(one)
                for key, one in value.items()
                if key != "resourceVersion"
            }
        case list():
            return [_lasting(one) for one in value]
    return value


def _sort_managers(document: Document) -> None:
    """Sort the entries of managedFields: their order is that of time."""
    managers = document["metadata"].get("managedFields")
    if managers:
        managers.sort(key=lambda m: (m["manager"], m["operation"], m.get("subresource", "")))
