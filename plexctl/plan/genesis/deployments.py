"""The ReplicaSet of a new Deployment, and its pods, as the controllers create them."""

from __future__ import annotations

import json
import math

from plexctl.plan.documents import Document
from plexctl.plan.genesis import pods
from plexctl.plan.genesis.names import letters

PREFIX = "deployment.kubernetes.io"
REVISION = f"{PREFIX}/revision"
HASH = "pod-template-hash"
SURGE = "25%"
"""How many pods more a Deployment may have for a while, by default."""


def replica_set(deployment: Document) -> Document:
    """The ReplicaSet of a Deployment that has a UID.

    The Deployment controller recognises it by the template.
    """
    metadata, spec = deployment["metadata"], deployment["spec"]
    mark = {HASH: letters(json.dumps(spec["template"], sort_keys=True), 10)}
    inner = spec["template"].get("metadata", {})
    labels = {**inner.get("labels", {}), **mark}
    count = spec.get("replicas", 1)
    selector = spec["selector"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{mark[HASH]}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {**metadata.get("annotations", {}), **scale(count, surge(spec))},
            "ownerReferences": [owner(deployment)],
        },
        "spec": {
            "replicas": count,
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), **mark}},
            "template": {
                "metadata": {**inner, "labels": labels},
                "spec": pods.defaulted(spec["template"]["spec"]),
            },
        },
        "status": {},
    }


def pod(owning: Document) -> Document:
    """A pod as the controller of a ReplicaSet requests it: without what admission adds."""
    metadata, template = owning["metadata"], owning["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": f"{metadata['name']}-${{suffix}}",
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "ownerReferences": [owner(owning)],
        },
        "spec": {"enableServiceLinks": True, **template["spec"]},
    }


def owner(document: Document) -> Document:
    """The reference of an object to its controller."""
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "name": document["metadata"]["name"],
        "uid": document["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def scale(replicas: int, more: str | int) -> dict[str, str]:
    """The annotations of a ReplicaSet whose Deployment may have `more` pods for a while.

    With other values, the Deployment controller scales for ever. Source: SetReplicasAnnotations in
    pkg/controller/deployment/util of Kubernetes.
    """
    if isinstance(more, str):
        more = math.ceil(replicas * int(more.removesuffix("%")) / 100)
    return {
        f"{PREFIX}/desired-replicas": str(replicas),
        f"{PREFIX}/max-replicas": str(replicas + more),
    }


def surge(spec: Document) -> str | int:
    """How many pods more a Deployment with `spec` may have: a number, or a text in percent."""
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        return 0
    found: str | int = strategy.get("rollingUpdate", {}).get("maxSurge", SURGE)
    return found
