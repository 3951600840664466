"""What a cluster makes of applied documents, compared with what a real cluster has made."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from plexctl.model.gitops import SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.applied import addition, is_known
from plexctl.plan.gitops import argocd_install, argocd_sync
from plexctl.plan.gitops.argocd_install import Servers
from plexctl.plan.gitops.flux_install import install
from plexctl.plan.gitops.flux_sync import sync
from plexctl.plan.kubernetes import kubeadm

from ..test_argocd import IMAGES as ARGOCD_IMAGES
from ..test_argocd import KEYS as ARGOCD_KEYS
from ..test_argocd import source as argocd_source
from ..test_flux import CONTROLLERS, IMAGES, KEYS, REGISTRY, gitops
from ..test_plan import GOLDEN
from ..upstream import upstream

RECORDED = Path(kubeadm.__file__).parent.parent / "genesis" / "kubernetes-1.36.3.json"
SERVICES = IPv4Network("10.96.0.0/20")
SYSTEM = "kube-system"

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.shop.example"},
    "spec": {
        "group": "shop.example",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["w"]},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {}},
            {"name": "v1beta1", "served": True, "storage": False, "schema": {}},
            {"name": "v1alpha1", "served": False, "storage": False, "schema": {}},
        ],
    },
}
WIDGET: dict[str, Any] = {
    "apiVersion": "shop.example/v1",
    "kind": "Widget",
    "metadata": {"name": "one", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {"secretRef": {"name": "s"}, "parts": [{"name": "x"}], "note": "${PRICE} and $5"},
}


CONTAINER = {"name": "web", "image": "web:1"}
TOKEN, NO_TOKEN = ({"automountServiceAccountToken": one} for one in (True, False))


def stateful_set(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": SYSTEM}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def made(*documents: dict[str, Any]) -> Addition:
    return addition(documents, SERVICES, b"CERTIFICATE\n")


def recorded(part: str, key: str) -> dict[str, Any]:
    text = RECORDED.read_text()
    for hole in ("master.", "endpoint."):  # no holes in this test
        text = text.replace(f"${{{hole}", f"{{{hole}")
    found: dict[str, Any] = json.loads(text)[part][key]
    return found


def applied(document: dict[str, Any]) -> dict[str, Any]:
    """An object of a cluster as somebody could have applied it."""
    metadata = {k: document["metadata"][k] for k in ("name", "namespace", "labels")}
    return {**document, "metadata": metadata}


def test_controllers_create_from_a_deployment_what_they_created_for_coredns() -> None:
    """All of it, with managedFields. Only the hash of the template is another one."""
    found = made(applied(recorded("objects", f"/registry/deployments/{SYSTEM}/coredns")))
    ((key, pod),) = found.pods.items()
    own = pod["metadata"]["labels"]["pod-template-hash"]

    def with_hole(value: object) -> Any:
        return json.loads(json.dumps(value).replace(own, "${hash}"))

    replica_set = f"/registry/replicasets/{SYSTEM}/coredns-"
    expected = recorded("objects", f"{replica_set}${{hash}}")
    assert with_hole(found.objects[replica_set + own]) == expected
    assert with_hole({key: pod}) == {
        with_hole(key): recorded("pods", f"/registry/pods/{SYSTEM}/coredns-${{hash}}-${{suffix}}")
    }


def test_a_deployment_is_at_its_first_revision() -> None:
    document = recorded("objects", f"/registry/deployments/{SYSTEM}/coredns")
    deployment = made(applied(document)).objects[f"/registry/deployments/{SYSTEM}/coredns"]
    by_plexctl, by_controllers = deployment["metadata"]["managedFields"]

    assert deployment["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert by_controllers == document["metadata"]["managedFields"][0]
    assert (by_plexctl["manager"], by_plexctl["operation"]) == ("plexctl", "Apply")
    assert by_plexctl["fieldsV1"]["f:metadata"] == {"f:labels": {"f:k8s-app": {}}}
    assert deployment["status"] == {}


def test_a_stateful_set_has_a_revision_as_the_one_recorded_for_kube_proxy() -> None:
    proxy = recorded("objects", f"/registry/daemonsets/{SYSTEM}/kube-proxy")
    found = made(stateful_set(**proxy["spec"])).objects
    (key,) = (one for one in found if "/controllerrevisions/" in one)
    hash_label = "controller.kubernetes.io/hash"  # of a DaemonSet it is another one
    mark = found[key]["metadata"]["labels"][hash_label]
    text = json.dumps(found[key]).replace(mark, "${hash}").replace("web-", "kube-proxy-")

    expected = recorded("objects", f"/registry/controllerrevisions/{SYSTEM}/kube-proxy-${{hash}}")
    text = text.replace(hash_label, "controller-revision-hash")
    made_of = json.loads(text.replace("statefulsets", "daemonsets").replace("/web", "/kube-proxy"))
    for one in (expected, made_of):  # those of a DaemonSet have one more
        one["metadata"].pop("annotations", None)
        one["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"].pop("f:annotations", None)
    (owner,) = made_of["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("StatefulSet", "web")
    owner |= {"kind": "DaemonSet", "name": "kube-proxy"}
    assert made_of == expected
    text = json.dumps(found[key]["data"])
    assert text == json.dumps(found[key]["data"], sort_keys=True)  # the controller compares text


def test_pods_of_a_stateful_set_have_names_in_order() -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
    found = made(stateful_set(template=template, serviceName="webs"))
    ((key, pod),) = found.pods.items()
    (revision,) = (one for one in found.objects.values() if one["kind"] == "ControllerRevision")

    assert key == f"/registry/pods/{SYSTEM}/web-${{ordinal}}"
    assert pod["metadata"]["name"] == pod["spec"]["hostname"] == "web-${ordinal}"
    assert pod["spec"]["subdomain"] == "webs"
    assert pod["metadata"]["labels"] == {
        "app": "web",
        "controller-revision-hash": revision["metadata"]["name"],
        "apps.kubernetes.io/pod-index": "${ordinal}",
        "statefulset.kubernetes.io/pod-name": "web-${ordinal}",
    }


@pytest.mark.parametrize(
    ("account", "pod", "expected"),
    [({}, {}, True), (NO_TOKEN, {}, False), (NO_TOKEN, TOKEN, True), ({}, NO_TOKEN, False)],
)
def test_a_pod_has_a_token_unless_it_or_its_account_refuses(
    account: dict[str, Any], pod: dict[str, Any], expected: bool
) -> None:
    metadata = {"name": "web", "namespace": SYSTEM}
    spec = {"serviceAccountName": "web", "containers": [CONTAINER], **pod}
    found = made(
        stateful_set(template={"spec": spec}),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, **account},
    )
    (one,) = found.pods.values()

    assert ("volumes" in one["spec"]) is expected
    assert ("volumeMounts" in one["spec"]["containers"][0]) is expected


def test_a_namespace_has_what_each_namespace_has() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-public"}}
    found = made(namespace).objects
    ca = recorded("objects", "/registry/configmaps/kube-public/kube-root-ca.crt")
    ca["data"]["ca.crt"] = "CERTIFICATE\n"
    account = "/registry/serviceaccounts/kube-public/default"
    own = recorded("objects", "/registry/namespaces/kube-public")

    assert found["/registry/configmaps/kube-public/kube-root-ca.crt"] == ca
    assert found[account] == recorded("objects", account)
    made_of = found["/registry/namespaces/kube-public"]
    del made_of["metadata"]["managedFields"], own["metadata"]["managedFields"]
    assert made_of == own


def test_services_get_the_last_addresses_of_the_network() -> None:
    def service(name: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "shop"}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}

    found = made(service("one"), service("two")).objects

    addresses = {
        name: found[f"/registry/services/specs/shop/{name}"]["spec"]["clusterIP"]
        for name in ("one", "two")
    }
    assert addresses == {"one": "10.96.15.254", "two": "10.96.15.253"}
    allocated = found["/registry/ipaddresses/10.96.15.253"]
    assert allocated["spec"]["parentRef"] == {
        "resource": "services",
        "namespace": "shop",
        "name": "two",
    }
    dns = recorded("objects", "/registry/ipaddresses/${services.dns}")
    assert allocated["metadata"]["managedFields"] == dns["metadata"]["managedFields"]


def test_a_definition_is_established_and_its_versions_are_registered() -> None:
    found = made(CRD).objects
    key = "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example"
    status = found[key]["status"]

    assert [one["type"] for one in status["conditions"]] == ["NamesAccepted", "Established"]
    assert status["storedVersions"] == ["v1"]
    assert status["acceptedNames"] == {
        "kind": "Widget",
        "listKind": "WidgetList",
        "plural": "widgets",
        "shortNames": ["w"],
        "singular": "widget",
    }
    services = "/registry/apiregistration.k8s.io/apiservices"
    assert {one for one in found if one.startswith(services)} == {
        f"{services}/v1.shop.example",
        f"{services}/v1beta1.shop.example",
    }
    registered = found[f"{services}/v1.shop.example"]
    apps = recorded("objects", f"{services}/v1.apps")
    assert registered["status"] == apps["status"]
    assert registered["metadata"]["managedFields"] == apps["metadata"]["managedFields"]


def test_a_custom_resource_is_stored_under_its_group() -> None:
    found = made(CRD, WIDGET).objects["/registry/shop.example/widgets/shop/one"]

    assert found["metadata"]["generation"] == 1
    (manager,) = found["metadata"]["managedFields"]
    assert manager["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:note": {}, "f:parts": {}, "f:secretRef": {"f:name": {}}},
    }


def test_a_value_of_a_document_is_no_hole() -> None:
    found = made(CRD, WIDGET).objects["/registry/shop.example/widgets/shop/one"]

    assert found["spec"]["note"] == "${{PRICE} and $5"


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ((CRD, WIDGET), True),
        ((WIDGET,), False),
        (({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "one"}},), False),
        ((stateful_set(template={"spec": {}}),), True),
        ((stateful_set(template={"spec": {"priorityClassName": "own"}}),), False),
        ((stateful_set(template={"spec": {}}, volumeClaimTemplates=[{}]),), False),
    ],
)
def test_a_kind_that_nobody_defines_is_unknown(
    documents: tuple[dict[str, Any], ...], expected: bool
) -> None:
    assert is_known(documents) is expected


def test_the_objects_of_flux_are_the_golden_ones(demo: Plex) -> None:
    documents = (
        *install(demo, IMAGES, upstream(*IMAGES)),
        *(_definition(kind, plural) for kind, plural in KINDS.items()),
        *sync(demo, gitops(SourceKind.REGISTRY), REGISTRY, KEYS),
    )
    found = addition(documents, demo.networks.services, b"CERTIFICATE\n")
    text = json.dumps({"objects": found.objects, "pods": found.pods}, indent=1) + "\n"
    golden = GOLDEN / "genesis-flux.json"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(text)

    assert text == golden.read_text()


def test_each_controller_of_flux_is_known(demo: Plex) -> None:
    documents = install(demo, dict.fromkeys(CONTROLLERS, "image:1"), upstream(*CONTROLLERS))
    assert is_known(documents)

    found = addition(documents, demo.networks.services, b"CERTIFICATE\n").pods.values()
    assert {one["metadata"]["labels"]["app"] for one in found} == set(CONTROLLERS)


def test_what_argocd_consists_of_is_known(demo: Plex) -> None:
    servers, argocd = Servers("git A\n"), argocd_source()
    documents = (
        *argocd_install.install(
            demo, argocd, ARGOCD_IMAGES, Secret(b"PASSWORD"), servers, upstream("argocd")
        ),
        *(_definition(kind, plural) for kind, plural in ARGOCD_KINDS.items()),
        *argocd_sync.sync(demo, argocd, None, ARGOCD_KEYS),
    )
    assert is_known(documents)
    found = addition(documents, demo.networks.services, b"CERTIFICATE\n")
    of_pods = {one["metadata"]["ownerReferences"][0]["kind"] for one in found.pods.values()}
    assert of_pods == {"ReplicaSet", "StatefulSet"}
    assert len(found.pods) == 4


KINDS = {
    ("source.toolkit.fluxcd.io", "OCIRepository"): "ocirepositories",
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): "kustomizations",
}

ARGOCD_KINDS = {
    ("argoproj.io", "AppProject"): "appprojects",
    ("argoproj.io", "ApplicationSet"): "applicationsets",
}


def _definition(kind: tuple[str, str], plural: str) -> dict[str, Any]:
    group, name = kind
    names = {"kind": name, "listKind": f"{name}List", "plural": plural, "singular": name.lower()}
    version = {"name": "v1", "served": True, "storage": True, "schema": {}}
    return {
        **CRD,
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
