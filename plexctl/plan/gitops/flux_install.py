"""Flux on a plex: upstream's controllers, changed by flux.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plexctl.model.plex import API_PORT, Plex
from plexctl.plan.documents import Document
from plexctl.plan.gitops import overlay
from plexctl.plan.gitops.overlay import Overlay

NAMESPACE = "flux-system"
LABELS = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/managed-by": "plexctl"}


def install(
    plex: Plex, images: Mapping[str, str], upstream: Iterable[Document]
) -> tuple[Document, ...]:
    """The documents to apply once the API answers, the namespace first. They contain no CRDs.

    `images` has the references of the controllers' images by controller; controllers without an
    image are left out. `upstream` is config/manager of each controller.
    """
    changes = overlay.load("flux.yaml")
    objects = [one for one in changes.objects if _wanted(one, images)]
    values = {
        **images,
        "API_ADDRESS": str(plex.networks.endpoint),
        "API_PORT": str(API_PORT),
    }
    documents = [one for one in upstream if _wanted(one, images)]
    return overlay.apply(
        Overlay(tuple(objects), changes.patches), documents, values, NAMESPACE, LABELS
    )


def _wanted(document: Document, images: Mapping[str, str]) -> bool:
    """Whether the controller that a document belongs to has an image."""
    match document:
        case {"kind": "Deployment" | "ServiceAccount", "metadata": {"name": controller}}:
            return controller in images
        case {"kind": "Service", "spec": {"selector": {"app": controller}}}:
            return controller in images
    return True
