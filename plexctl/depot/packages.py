"""The Debian packages in container images that are built: the programs, or what they call.

They decide the bytes of an image as its modules do, so they are part of its component's key.
"""

from __future__ import annotations

from collections.abc import Mapping

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "argocd": ("dash", "git", "openssh-client", "tini"),
    # In nftables mode kube-proxy calls nft; connections are read over netlink, without conntrack.
    # nft lists protocols by the names in /etc/protocols (netbase). Without that file, a kube-proxy
    # that starts again takes its own elements for those of others, and deletes them: no service of
    # that node works any more.
    "kube-proxy": ("netbase", "nftables"),
    "redis": ("redis-server",),
}
