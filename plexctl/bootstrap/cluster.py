"""Access to the API of a plex."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import Kube, connect
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.model.plex import Plex
from plexctl.plan.kubernetes.kubeadm import forwarded_endpoint


def api_access(plex: Plex, seed: RootSeed, *, super_admin: bool = False) -> ApiAccess:
    """The certificate of kubeadm's admin, whose rights are a role binding of the cluster.

    A new cluster has that binding once `kubeadm init` ends. Until then only the super-admin has
    rights; no cluster can take them away, so use it only while a master boots for the first time.
    https://github.com/kubernetes/kubeadm/issues/2414
    """
    keys = ClusterKeys.derive(seed, plex.name, plex.epoch)
    pair = keys.super_admin() if super_admin else keys.admin()
    url = f"https://{forwarded_endpoint(plex)}"
    return ApiAccess(url, keys.ca.pair.certificate, pair.certificate, pair.key)


@contextmanager
def cluster(plex: Plex, seed: RootSeed, *, super_admin: bool = False) -> Iterator[Kube]:
    """A client of `plex`, with the rights of `api_access`."""
    with connect(api_access(plex, seed, super_admin=super_admin)) as kube:
        yield kube
