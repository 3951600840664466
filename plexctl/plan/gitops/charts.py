"""Apps from charts: what a HelmRelease asks Helm for, and what Helm made as plain manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.plan.documents import Document

FLUX = ("helm.toolkit.fluxcd.io", "source.toolkit.fluxcd.io")
UNKNOWN = ("valuesFrom", "postRenderers", "kubeConfig")
"""Fields of a HelmRelease that only a cluster can make something of."""

CLUSTER_WIDE = frozenset(
    {
        *("Namespace", "Node", "PersistentVolume"),
        *("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "APIService"),
        *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        *("IngressClass", "GatewayClass", "StorageClass", "VolumeAttributesClass", "CSIDriver"),
        *("CSINode", "VolumeAttachment", "PriorityClass", "RuntimeClass"),
        *("FlowSchema", "PriorityLevelConfiguration", "CertificateSigningRequest"),
    }
)
"""Kinds of Kubernetes that are in no namespace."""


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """What one HelmRelease asks for. `beside` are the other objects in its file."""

    name: str
    namespace: str
    chart: Chart
    values: Mapping[str, Any]
    beside: tuple[Document, ...]


def release_of(documents: Sequence[Document], where: str) -> HelmRelease:
    """The only HelmRelease of a file.

    PlexError, which names `where`, if there is not one, or if it asks for something that cannot be
    known here.
    """
    releases = [one for one in documents if one.get("kind") == "HelmRelease"]
    if len(releases) != 1:
        raise PlexError(
            f"{where}: there are {len(releases)} HelmReleases", hint="one app has one chart"
        )
    metadata, spec = releases[0]["metadata"], releases[0]["spec"]
    for name in UNKNOWN:
        if name in spec:
            raise PlexError(
                f"{where}: `{name}` is known only in a cluster",
                hint="write what it stands for into `values`, or leave the app to helm-controller",
            )
    beside = [one for one in documents if one["apiVersion"].partition("/")[0] not in FLUX]
    return HelmRelease(
        spec.get("releaseName", metadata["name"]),
        spec.get("targetNamespace", metadata["namespace"]),
        _chart(spec, documents, where),
        spec.get("values", {}),
        tuple(beside),
    )


def _chart(spec: Document, documents: Sequence[Document], where: str) -> Chart:
    asked = spec.get("chart", {}).get("spec", {})
    reference = spec.get("chartRef") or asked.get("sourceRef", {})
    kind, name = reference.get("kind"), reference.get("name")
    found = [one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    source = found[0]["spec"] if found else {}
    match kind:
        case "OCIRepository" if found:
            repository, _, last = source["url"].rpartition("/")
            chart = Chart(last, str(source.get("ref", {}).get("tag", "")), repository)
        case "HelmRepository" if found:
            chart = Chart(asked["chart"], str(asked.get("version", "")), source["url"])
        case "OCIRepository" | "HelmRepository":
            raise PlexError(f"{where}: there is no {kind} {name}", hint="keep it in the same file")
        case _:
            raise PlexError(
                f"{where}: a chart from a {kind} is not fetched",
                hint="only charts from a HelmRepository or an OCIRepository are",
            )
    if not chart.exact:
        raise PlexError(
            f"{where}: the chart {chart.name} has the version {chart.version!r}, which is not one",
            hint="write one, as in 1.2.3: the same files must give the same cluster",
        )
    return chart


def manifests(release: HelmRelease, made: Iterable[Document], where: str) -> tuple[Document, ...]:
    """What is applied instead of the HelmRelease: what Helm made, in the release's namespace.

    PlexError if there is a Secret in it, which would be plain in the lab's files.
    """
    documents = [*release.beside, *made]
    wide = {
        (one["spec"]["group"], one["spec"]["names"]["kind"])
        for one in documents
        if one["kind"] == "CustomResourceDefinition" and one["spec"]["scope"] == "Cluster"
    }
    secrets = [
        one["metadata"]["name"]
        for one in documents
        if one["kind"] == "Secret" and (one.get("data") or one.get("stringData"))
    ]
    if secrets:
        raise PlexError(
            f"{where}: the chart {release.chart.name} makes the Secret {', '.join(secrets)}, "
            "which would be plain in your files",
            hint="have its values name a Secret of yours, which `plexctl secret edit` makes",
        )
    return tuple(_placed(one, release.namespace, wide) for one in documents)


def _placed(document: Document, namespace: str, wide: set[tuple[str, str]]) -> Document:
    group = document["apiVersion"].rpartition("/")[0]
    if document["kind"] in CLUSTER_WIDE or (group, document["kind"]) in wide:
        return document
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}
