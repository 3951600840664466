"""kubeconfig documents."""

from __future__ import annotations

import base64

from plexctl.keys.certificates import KeyPair
from plexctl.model.plex import Node, Plex, Role
from plexctl.plan.documents import Document
from plexctl.plan.kubernetes.kubeadm import endpoint, own_endpoint


def kubeconfig(
    plex: Plex, ca: bytes, user: str, pair: KeyPair, *, server: str | None = None
) -> Document:
    """A kubeconfig with the user's key, with names as kubeadm gives them.

    `server` is the address of the API for its user, if that differs from the address for nodes.
    """
    credentials = {
        "client-certificate-data": _base64(pair.certificate),
        "client-key-data": _base64(pair.key.reveal()),
    }
    return _config(plex, ca, user, credentials, server or endpoint(plex))


def kubelet_kubeconfig(plex: Plex, ca: bytes, node: Node, pem: str) -> Document:
    """The kubeconfig of a kubelet. Its key is in the file `pem`, which the kubelet renews.

    Masters call the API server of their own node, as kubeadm writes it: it may be newer
    than another one during an upgrade.
    """
    credentials = {"client-certificate": pem, "client-key": pem}
    server = own_endpoint(node) if node.role is Role.MASTER else endpoint(plex)
    return _config(plex, ca, f"system:node:{node.name}", credentials, server)


def _config(plex: Plex, ca: bytes, user: str, credentials: dict[str, str], server: str) -> Document:
    cluster = {
        "certificate-authority-data": _base64(ca),
        "server": f"https://{server}",
    }
    context = f"{user}@{plex.name}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": plex.name, "cluster": cluster}],
        "contexts": [{"name": context, "context": {"cluster": plex.name, "user": user}}],
        "current-context": context,
        "users": [{"name": user, "user": credentials}],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
