"""How soon clients of the API notice that a quiet connection leads to a master that is lost.

With several masters the API has an address that moves. The new owner refuses a connection of the
old one as soon as the client sends something. One that only watches sends nothing: by default Go's
client tests such a connection after 30 s. Kubelets have the same settings in a file of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plexctl.model.plex import Plex
from plexctl.plan.documents import Document

VARIABLES = (("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "3"), ("HTTP2_PING_TIMEOUT_SECONDS", "2"))
"""Seconds until a quiet connection is tested, and from then until it is given up."""

PROXY = "kube-proxy"
"""The container of its DaemonSet, which calls the API at the endpoint on every node."""


def quiet(plex: Plex) -> list[Document]:
    """The variables of a program that watches the API at the endpoint; none with one master."""
    if plex.masters == 1:
        return []
    return [{"name": name, "value": value} for name, value in VARIABLES]


def proxy_patch(plex: Plex) -> Document:
    """A strategic merge patch of kube-proxy's DaemonSet."""
    container = {"name": PROXY, "env": quiet(plex)}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def add_quiet(groups: tuple[Mapping[str, Document], ...], plex: Plex) -> None:
    """Add the variables to every document of kube-proxy and CoreDNS that has containers."""
    for group in groups:
        for one in group.values():
            for container in _containers(one):
                if container["name"] in (PROXY, "coredns"):
                    container.setdefault("env", []).extend(quiet(plex))


def _containers(document: Document) -> Iterator[Document]:
    """The containers of a pod, or of the template of a workload or of its recorded revision."""
    spec = document.get("data", document).get("spec", {})
    spec = spec.get("template", {}).get("spec", spec)
    yield from spec.get("containers", ())
