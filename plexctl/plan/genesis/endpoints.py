"""What the service `kubernetes` leads to in a plex with several masters: its endpoint, which moves.

API servers write these objects in other plexes, each with its own address. Those of a master that
is lost would stay for 15 s, and each third call of a pod would fail.
"""

from __future__ import annotations

from plexctl.model.plex import API_PORT, Plex
from plexctl.plan.documents import Document

ENDPOINTS = "/registry/services/endpoints/default/kubernetes"
SLICE = "/registry/endpointslices/default/kubernetes"


def api_endpoints(plex: Plex) -> dict[str, Document]:
    """The objects by key in etcd, as an API server writes them."""
    found = zip((ENDPOINTS, SLICE), endpoint_documents(plex), strict=True)
    return {
        key: {
            **one,
            "metadata": {
                **one["metadata"],
                "uid": f"${{uid:{key}}}",
                "creationTimestamp": "${now}",
            },
        }
        for key, one in found
    }


def endpoint_documents(plex: Plex) -> tuple[Document, Document]:
    """The Endpoints and the EndpointSlice, as they are applied to a cluster that runs."""
    address = str(plex.networks.endpoint)
    port = {"name": "https", "port": API_PORT, "protocol": "TCP"}
    return (
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": _metadata("endpointslice.kubernetes.io/skip-mirror", "true"),
            "subsets": [{"addresses": [{"ip": address}], "ports": [port]}],
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": _metadata("kubernetes.io/service-name", "kubernetes"),
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [port],
        },
    )


def _metadata(label: str, value: str) -> Document:
    return {"name": "kubernetes", "namespace": "default", "labels": {label: value}}
