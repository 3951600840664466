"""The keys under which an API server stores objects in etcd."""

from __future__ import annotations

FOLDERS = {
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
}
"""Folders below /registry that are not the plural of their resource.
Source: pkg/registry/*/*/storage and pkg/controlplane of Kubernetes."""

OWN_FOLDER = ("apiextensions.k8s.io", "apiregistration.k8s.io")
"""Groups of extension servers: their folder has the group before the plural. So have all custom
resources."""


def storage_key(group: str, plural: str, name: str, namespace: str = "", *, custom: bool) -> str:
    """The key of an object in etcd. `custom`: a CustomResourceDefinition defines its kind."""
    folder = FOLDERS.get((group, plural), plural)
    if custom or group in OWN_FOLDER:
        folder = f"{group}/{plural}"
    return "/".join(filter(None, ("/registry", folder, namespace, name)))
