"""Makes the recorded documents from the objects of a cluster that has come to rest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from plexctl.errors import PlexError
from plexctl.plan.documents import Document
from plexctl.plan.genesis.holes import HOLE, LATER, digger
from plexctl.plan.genesis.normal import map_strings, normal_form
from plexctl.plan.genesis.pods import BOUND

LIVE = re.compile(
    r"/registry/(events|leases|minions|csinodes|certificatesigningrequests|componentstatuses)/"
    # The API server writes these as it starts, with its own addresses.
    r"|/registry/services/endpoints/|/registry/endpointslices/"
    r"|/registry/configmaps/kube-system/kube-apiserver-legacy-service-account-token-tracking$"
)
"""Objects that programs write while they run."""

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that a kubelet has from a file."""

STATUS_OF_WORK = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Pod")
"""Kinds whose status reports what runs. In a new cluster nothing runs yet."""

UNIQUE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
"""A UID, such as every object of a cluster has."""

TOKEN = "bootstrap.kubernetes.io/token"  # noqa: S105 - the type of a Secret
"""Of a token of kubeadm: the controllers delete it, and its signature of cluster-info, in time."""

SIGNATURE = "jws-kubeconfig-"

FORWARDED = re.compile(r"(?m)^  certSANs:\n(?:  - .*\n)+")
"""In kubeadm's ClusterConfiguration: the address at which a port leads to the API. The plan adds it
where a plex has one."""


def reference(objects: Mapping[str, Document], values: Mapping[str, str]) -> dict[str, Any]:
    """The recorded documents: `objects` by key, and templates of pods that a node runs.

    `objects` are those of a cluster at rest, `values` what its plex decided (`holes.plex_values`).
    """
    dig = digger(values)
    documents, pods = {}, {}
    for key, one in normal_form(objects).items():
        if LIVE.match(key) or MIRROR in (one["metadata"].get("annotations") or {}):
            continue
        document = _unborn(one)
        if key == "/registry/configmaps/kube-system/kubeadm-config":
            document = map_strings(document, lambda text: FORWARDED.sub("", text))
        key, _, place = key.partition(" on ")
        if document["kind"] == "Pod":
            if place != values["master.name"]:
                continue  # the same again on a worker
            document = map_strings(document, dig)
            pods[dig(key)] = _template(document)
        else:
            documents[dig(key)] = map_strings(document, dig)
    return {"objects": dict(sorted(documents.items())), "pods": dict(sorted(pods.items()))}


def unfinished(objects: Mapping[str, Document]) -> Iterator[str]:
    """What a cluster with these `objects`, by key, still lacks before it is at rest."""
    for key, one in objects.items():
        metadata = one["metadata"]
        name = f"{one['kind']} {metadata['name']}"
        if "deletionTimestamp" in metadata:
            yield f"{name} is being deleted"
        if one.get("type") == TOKEN or any(k.startswith(SIGNATURE) for k in one.get("data") or ()):
            yield f"{name} has a token of kubeadm"
        if "aggregationRule" in one and not one.get("rules"):
            yield f"{name} has no rules"
        if one["kind"] == "Namespace":
            here = metadata["name"]
            for needed in (
                f"/registry/serviceaccounts/{here}/default",
                f"/registry/configmaps/{here}/kube-root-ca.crt",
            ):
                if needed not in objects:
                    yield f"{name} lacks {needed}"
        if "/kube-system/" in key:
            yield from _not_running(name, one)
    for folder in ("namespaces", "daemonsets", "deployments", "pods"):
        if not any(key.startswith(f"/registry/{folder}/") for key in objects):
            yield f"there are no {folder}"


def _not_running(name: str, one: Document) -> Iterator[str]:
    """Whether a workload lacks pods that are Ready."""
    status = one.get("status") or {}
    ready, wanted = {
        "Deployment": (status.get("readyReplicas"), one.get("spec", {}).get("replicas")),
        "DaemonSet": (status.get("numberReady"), status.get("desiredNumberScheduled") or 1),
    }.get(one["kind"], (0, 0))
    if ready != wanted:
        yield f"{name} has {ready or 0} of {wanted} pods Ready"


def require_neutral(recorded: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """PlexError if anything of the cluster that was recorded is left, or a hole has no name."""
    text = json.dumps(recorded)
    found = {name: value for name, value in values.items() if json.dumps(value)[1:-1] in text}
    unknown = set(HOLE.findall(text)) - {*values, *LATER, "hash"}
    uids = set(UNIQUE.findall(text))
    if found or unknown or uids:
        raise PlexError(
            "the recording has parts that only the recorded cluster has",
            details=(
                *(f"the value of {name}: {value}" for name, value in found.items()),
                *(f"an unknown hole: {name}" for name in sorted(unknown)),
                *(f"a UID: {uid}" for uid in sorted(uids)),
            ),
            hint="this is a bug of plexctl, as these parts should be holes: please report it",
        )


def _unborn(document: Document) -> Document:
    """`document` as it is before anything runs."""
    if document["kind"] not in STATUS_OF_WORK:
        return document
    metadata = dict(document["metadata"])
    managers = (_without_status(one) for one in metadata.get("managedFields", []))
    metadata["managedFields"] = [one for one in managers if one["fieldsV1"]]
    born = {**document, "metadata": metadata, "status": {}}
    if document["kind"] == "Pod":
        born["status"] = {**BOUND, "qosClass": document["status"]["qosClass"]}
    return born


def _without_status(manager: Document) -> Document:
    """An entry of managedFields without the fields of the status."""
    fields = {k: v for k, v in manager["fieldsV1"].items() if k != "f:status"}
    return {**manager, "fieldsV1": fields}


def _template(pod: Document) -> Document:
    """A pod on the master as a template for any node."""
    name = {"${master.name}": "${node.name}"}
    spec = dict(pod["spec"], nodeName="${node.name}")
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    if "requiredDuringSchedulingIgnoredDuringExecution" in affinity:  # of a DaemonSet
        spec["affinity"] = map_strings(spec["affinity"], lambda text: name.get(text, text))
    return {**pod, "spec": spec}
