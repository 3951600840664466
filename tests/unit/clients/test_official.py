"""The official client: access, discovery and dry runs; and that fast verbs do not import it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import CoreV1Api

from plexctl.clients.kube.client import InvalidObjectError, UnreachableError
from plexctl.clients.kube.official import NotServedError, ObjectApi, api_client

from .test_kube import access_to
from .tls_server import Server, deaf, serving

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "web"},
    "data": {"colour": "red"},
}
PATH = "/api/v1/namespaces/default/configmaps/web"
APPLY = f"{PATH}?dryRun=All&fieldManager=kustomize-controller&force=true"
RESOURCES = [
    {"name": "configmaps", "singularName": "", "namespaced": True, "kind": "ConfigMap", "verbs": []}
]
HOT_MODULES = (
    "plexctl.cli.main",
    "plexctl.cli.plexes",
    "plexctl.cli.lab",
    "plexctl.cli.flux",
    "plexctl.workflow.plex.verbs",
    "plexctl.workflow.plex.converge",
    "plexctl.workflow.plex.plan",
    "plexctl.workflow.plex.status",
    "plexctl.workflow.gitops.delivery",
    "plexctl.workflow.gitops.flux",
    "plexctl.workflow.gitops.diff",
)


@pytest.fixture
def server() -> Iterator[Server]:
    answers: dict[str, tuple[int, Any]] = {
        "/version": (200, {"gitVersion": "v1.36.3"}),
        "/apis": (200, {"kind": "APIGroupList", "groups": []}),
        "/api/v1": (200, {"kind": "APIResourceList", "resources": RESOURCES}),
    }
    with serving(Server(answers=answers)) as server:
        yield server


@pytest.fixture
def objects(server: Server) -> Iterator[ObjectApi]:
    with api_client(access_to(server)) as client:
        yield ObjectApi(client)


def test_modules_of_fast_verbs_do_not_import_kubernetes() -> None:
    """Its import takes half a second of processor time."""
    imports = "; ".join(f"import {name}" for name in HOT_MODULES)
    code = f"import sys; {imports}; print([m for m in sys.modules if m.startswith('kubernetes')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_typed_apis_take_the_client(server: Server) -> None:
    server.answers["/api/v1/nodes"] = (200, {"kind": "NodeList", "items": []})
    with api_client(access_to(server)) as client:
        assert CoreV1Api(client).list_node().items == []


def test_the_environment_does_not_apply(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setenv("NO_PROXY", "")
    server.answers[PATH] = (200, {**CONFIG})
    with api_client(access_to(server)) as client:
        assert ObjectApi(client).read(CONFIG) is not None


def test_discovery_leaves_no_cache_behind(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.answers[PATH] = (404, {"message": "not found"})
    with api_client(access_to(server)) as client:
        assert ObjectApi(client).read(CONFIG) is None
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_has_the_manager_and_the_default_namespace(
    server: Server, objects: ObjectApi
) -> None:
    server.answers[APPLY] = (200, {**CONFIG, "metadata": {"name": "web", "uid": "1"}})
    assert objects.dry_run_apply(CONFIG, "kustomize-controller")["metadata"]["uid"] == "1"
    assert server.asked[-1][:2] == ("PATCH", APPLY)


def test_an_object_that_is_rejected_has_the_reason_of_the_api(
    server: Server, objects: ObjectApi
) -> None:
    server.answers[APPLY] = (422, {"message": "ConfigMap web is invalid: data: too long"})
    with pytest.raises(InvalidObjectError, match="ConfigMap web is invalid: data: too long"):
        objects.dry_run_apply(CONFIG, "kustomize-controller")


def test_a_namespace_or_kind_that_does_not_exist_is_not_served(
    server: Server, objects: ObjectApi
) -> None:
    server.answers[APPLY] = (404, {"message": 'namespaces "default" not found'})
    with pytest.raises(NotServedError, match='namespaces "default" not found'):
        objects.dry_run_apply(CONFIG, "kustomize-controller")
    for version, kind in (("v1", "Web"), ("example.com/v1", "Web"), ("v1", "List")):
        with pytest.raises(NotServedError, match=f"the API does not serve {kind} of {version}"):
            objects.read({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}})


def test_a_failure_that_is_not_handled_has_the_reason_of_the_api(server: Server) -> None:
    server.answers[PATH] = (403, {"message": "configmaps is forbidden"})
    with pytest.raises(UnreachableError) as error, api_client(access_to(server)) as client:
        ObjectApi(client).read(CONFIG)
    assert error.value.details == ("configmaps is forbidden",)


def test_an_api_that_does_not_answer_is_unreachable(server: Server) -> None:
    with deaf() as server.port:
        pass
    with api_client(access_to(server)) as client, pytest.raises(UnreachableError) as error:
        ObjectApi(client)
    assert error.value.details == ("Connection refused",)
