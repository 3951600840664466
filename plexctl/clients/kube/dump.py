"""All objects of a cluster, by the keys under which its API server stores them in etcd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plexctl.clients.kube.client import Kube
from plexctl.plan.genesis.storage import storage_key

SAME_OBJECTS = "events.k8s.io"  # the events of the core group again


def read_objects(kube: Kube) -> dict[str, dict[str, Any]]:
    """Every object that the API lists, with apiVersion and kind, by its key in etcd.

    Objects are in the version that the API prefers. UnreachableError.
    """
    found = {}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    custom = {one["spec"]["group"] for one in _items(kube, definitions)}
    for base, version in _versions(kube):
        group = version.rpartition("/")[0]
        for resource in (kube.read(base) or {}).get("resources", ()):
            plural = resource["name"]
            if "/" in plural or "list" not in resource["verbs"] or group == SAME_OBJECTS:
                continue
            for item in _items(kube, f"{base}/{plural}"):
                metadata = item["metadata"]
                key = storage_key(
                    group,
                    plural,
                    metadata["name"],
                    metadata.get("namespace", ""),
                    custom=group in custom,
                )
                found[key] = {"apiVersion": version, "kind": resource["kind"], **item}
    return found


def _versions(kube: Kube) -> Iterator[tuple[str, str]]:
    """The path and the name of the preferred version of each API group."""
    yield "/api/v1", "v1"
    for group in (kube.read("/apis") or {}).get("groups", ()):
        version = group["preferredVersion"]["groupVersion"]
        yield f"/apis/{version}", version


def _items(kube: Kube, path: str) -> list[dict[str, Any]]:
    return list((kube.read(path) or {}).get("items", ()))
