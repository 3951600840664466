"""Apps from charts: the inputs of a HelmRelease, and Helm's output as plain manifests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plexctl.errors import PlexError, UsageError
from plexctl.model.charts import Chart
from plexctl.plan.documents import Document

FLUX = ("helm.toolkit.fluxcd.io", "source.toolkit.fluxcd.io")
UNKNOWN = ("valuesFrom", "postRenderers", "kubeConfig")
"""Fields of a HelmRelease that can be evaluated in a cluster only."""

_RELEASE = re.compile(r"(?=.{1,53}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_NAMESPACE = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")
_REPOSITORY = re.compile(r"(oci|https?)://[A-Za-z0-9][^\s]*")

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
"""Kinds of Kubernetes without a namespace."""


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """The inputs of one HelmRelease. `beside` are the other objects in its file."""

    name: str
    namespace: str
    chart: Chart
    values: Mapping[str, Any]
    beside: tuple[Document, ...]


def release_of(documents: Sequence[Document], where: str) -> HelmRelease:
    """The only HelmRelease of a file.

    UsageError, which names `where`, if there is none or more than one, or if it has a field that
    can be evaluated in a cluster only.
    """
    releases = [one for one in documents if one.get("kind") == "HelmRelease"]
    if len(releases) != 1:
        raise UsageError(
            f"{where}: {len(releases)} HelmReleases instead of one", hint="an app has one chart"
        )
    metadata, spec = releases[0]["metadata"], releases[0]["spec"]
    for name in UNKNOWN:
        if name in spec:
            raise UsageError(
                f"{where}: `{name}` can be evaluated in a cluster only",
                hint="write the values into `values`, or let helm-controller apply the app",
            )
    beside = [one for one in documents if one["apiVersion"].partition("/")[0] not in FLUX]
    return HelmRelease(
        _matching(_RELEASE, spec.get("releaseName", metadata["name"]), "release name", where),
        _matching(
            _NAMESPACE, spec.get("targetNamespace", metadata["namespace"]), "namespace", where
        ),
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
            raise UsageError(f"{where}: there is no {kind} {name}", hint="add it to the same file")
        case _:
            raise UsageError(
                f"{where}: a chart from a {kind} is not supported",
                hint="use a HelmRepository or an OCIRepository",
            )
    _matching(_CHART, chart.name, "chart name", where)
    _matching(_REPOSITORY, chart.repository, "URL of a chart repository", where)
    if not chart.exact:
        raise UsageError(
            f"{where}: {chart.version!r} of the chart {chart.name} is not an exact version",
            hint="write a version like 1.2.3: the same files must give the same cluster",
        )
    return chart


def _matching(pattern: re.Pattern[str], value: object, kind: str, where: str) -> str:
    """`value` if it is a text of `pattern`. It becomes an argument of Helm, or a file name."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UsageError(f"{where}: {value!r} is not a {kind}")
    return value


def manifests(release: HelmRelease, made: Iterable[Document], where: str) -> tuple[Document, ...]:
    """The manifests that replace the HelmRelease: Helm's output, in the release's namespace.

    PlexError if they contain a Secret, which would be unencrypted in the lab's files.
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
            f"{where}: the chart {release.chart.name} creates the Secret {', '.join(secrets)}, "
            "which would be unencrypted in your files",
            hint="create a Secret with `plexctl secret edit`, and name it in the chart's values",
        )
    return tuple(_placed(one, release.namespace, wide) for one in documents)


def _placed(document: Document, namespace: str, wide: set[tuple[str, str]]) -> Document:
    group = document["apiVersion"].rpartition("/")[0]
    if document["kind"] in CLUSTER_WIDE or (group, document["kind"]) in wide:
        return document
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}
