"""The ControllerRevision of a new StatefulSet, and its pods, as the controller creates them."""

from __future__ import annotations

import json
from typing import Any

from plexctl.plan.documents import Document
from plexctl.plan.genesis import pods
from plexctl.plan.genesis.deployments import owner
from plexctl.plan.genesis.names import letters

HASH, REVISION = "controller.kubernetes.io/hash", "controller-revision-hash"
"""The label of a ControllerRevision with its hash, and that of a pod with the name of its revision.
Source: pkg/controller/history of Kubernetes, and its package `statefulset`."""

NAME, INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def revision(stateful_set: Document) -> Document:
    """The first ControllerRevision of a StatefulSet that has a UID.

    The controller recognises it by the template that it contains.
    """
    metadata, template = stateful_set["metadata"], _template(stateful_set)
    text = json.dumps(template, sort_keys=True)
    mark = letters(text, 10)
    annotations = metadata.get("annotations", {})
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{metadata['name']}-{mark}",
            "namespace": metadata["namespace"],
            "labels": {**template["metadata"].get("labels", {}), HASH: mark},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [owner(stateful_set)],
        },
        "data": {"spec": {"template": {"$patch": "replace", **json.loads(text)}}},
        "revision": 1,
    }


def pod(stateful_set: Document, name: str) -> Document:
    """A pod of the revision `name` as the controller requests it: without what admission adds.

    `${ordinal}` is the number of the pod.
    """
    metadata, template = stateful_set["metadata"], _template(stateful_set)
    own = f"{metadata['name']}-${{ordinal}}"
    labels = {
        **template["metadata"].get("labels", {}),
        REVISION: name,
        INDEX: "${ordinal}",
        NAME: own,
    }
    subdomain = stateful_set["spec"].get("serviceName", "")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "labels": labels,
            "name": own,
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "ownerReferences": [owner(stateful_set)],
        },
        "spec": {
            "enableServiceLinks": True,
            **template["spec"],
            "hostname": own,
            **({"subdomain": subdomain} if subdomain else {}),
        },
    }


def _template(stateful_set: Document) -> dict[str, Any]:
    template = stateful_set["spec"]["template"]
    return {"metadata": template.get("metadata", {}), "spec": pods.defaulted(template["spec"])}
