"""The inputs of a HelmRelease, and the manifests that replace it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.plan.documents import Document
from plexctl.plan.gitops.charts import HelmRelease, manifests, release_of

APPS = Path(__file__).parents[3] / "apps"


def documents(app: str) -> list[Document]:
    return list(yaml.safe_load_all((APPS / app / "release.yaml").read_text()))


def changed(app: str, **spec: object) -> list[Document]:
    found = documents(app)
    next(one for one in found if one["kind"] == "HelmRelease")["spec"] |= spec
    return found


@pytest.mark.parametrize(
    ("app", "chart"),
    [
        ("podinfo", Chart("podinfo", "6.15.0", "oci://ghcr.io/stefanprodan/charts")),
        ("velero", Chart("velero", "12.1.0", "https://vmware-tanzu.github.io/helm-charts")),
    ],
)
def test_charts_of_apps_are_read_from_their_files(app: str, chart: Chart) -> None:
    release = release_of(documents(app), "here")

    assert (release.chart, release.namespace) == (chart, app)
    assert [one["kind"] for one in release.beside] == ["Namespace"]
    assert release.values


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (documents("podinfo") + documents("velero"), "2 HelmReleases instead of one"),
        (documents("podinfo")[:2], "0 HelmReleases instead of one"),
        (changed("podinfo", valuesFrom=[]), "`valuesFrom` can be evaluated in a cluster only"),
        (documents("kubeedge"), "a chart from a GitRepository is not supported"),
        (documents("podinfo")[2:], "there is no OCIRepository podinfo"),
        (
            changed(
                "velero",
                chart={
                    "spec": {**documents("velero")[2]["spec"]["chart"]["spec"], "version": "12.x"}
                },
            ),
            "'12.x' of the chart",
        ),
    ],
)
def test_a_field_that_needs_a_cluster_is_an_error_with_its_file(
    found: list[Document], said: str
) -> None:
    with pytest.raises(PlexError, match=r"^apps/it/release\.yaml: ") as caught:
        release_of(found, "apps/it/release.yaml")
    assert said in str(caught.value)


RELEASE = HelmRelease("tiny", "here", Chart("tiny", "1.2.3", "https://a.test"), {}, ())


def made(kind: str, name: str, version: str = "v1", **more: object) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **more}}


def test_each_object_is_in_the_namespace_that_helm_would_use() -> None:
    definition = made("CustomResourceDefinition", "pools.a.test", "apiextensions.k8s.io/v1")
    definition["spec"] = {"group": "a.test", "names": {"kind": "Pool"}, "scope": "Cluster"}
    found = manifests(
        RELEASE,
        (
            definition,
            made("Deployment", "d", "apps/v1"),
            made("Role", "r", "rbac.authorization.k8s.io/v1", namespace="kube-system"),
            made("ClusterRole", "c", "rbac.authorization.k8s.io/v1"),
            made("Pool", "p", "a.test/v1"),
            made("Pool", "q", "b.test/v1"),
        ),
        "here",
    )

    where = {one["metadata"]["name"]: one["metadata"].get("namespace") for one in found}
    assert where == {
        "pools.a.test": None,
        "d": "here",
        "r": "kube-system",
        "c": None,
        "p": None,
        "q": "here",
    }


def test_a_secret_of_a_chart_is_refused() -> None:
    empty, filled = (
        made("Secret", "certificate"),
        {**made("Secret", "admin"), "data": {"a": "Yg=="}},
    )
    assert len(manifests(RELEASE, (empty,), "here")) == 1
    with pytest.raises(PlexError, match="creates the Secret admin") as caught:
        manifests(RELEASE, (empty, filled), "here")
    assert "secret edit" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("releaseName", "--post-renderer=/bin/sh"),
        ("releaseName", "Podinfo"),
        ("releaseName", "a" * 54),
        ("releaseName", 1),
        ("targetNamespace", "--kubeconfig=/tmp/x"),
        ("targetNamespace", "a b"),
    ],
)
def test_names_that_are_options_of_helm_are_refused(field: str, value: object) -> None:
    """`helm template --post-renderer=/bin/sh CHART` ran a program."""
    with pytest.raises(PlexError, match=r"here: .* is not a (release name|namespace)"):
        release_of(changed("podinfo", **{field: value}), "here")


@pytest.mark.parametrize(
    ("chart", "url"),
    [
        ("../../x", "https://charts.example.org"),
        ("--plugin", "https://charts.example.org"),
        ("velero", "--post-renderer=/bin/sh"),
        ("velero", "file:///etc"),
    ],
)
def test_charts_are_no_paths_and_no_options(chart: str, url: str) -> None:
    found = documents("velero")
    for one in found:
        if one["kind"] == "HelmRelease":
            one["spec"]["chart"]["spec"]["chart"] = chart
        if one["kind"] == "HelmRepository":
            one["spec"]["url"] = url
    with pytest.raises(PlexError, match=r"is not a (chart name|URL of a chart repository)"):
        release_of(found, "here")
