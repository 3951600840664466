"""No pod network: the user installs a CNI plugin."""

from __future__ import annotations

from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile


class NoPodNetwork:
    """See `PodNetwork`."""

    routed = False
    # Most plugins give pods addresses of this range: flannel, kube-router, Calico on request.
    allocates = True

    def files(self, plex: Plex, node: Node) -> tuple[BootFile, ...]:
        return ()
