"""Access to the API of a plex with every right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.clients.kube.access import ApiAccess
from plexctl.clients.kube.client import Kube, connect
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.model.plex import Plex
from plexctl.plan.kubernetes.kubeadm import forwarded_endpoint


def api_access(plex: Plex, seed: RootSeed) -> ApiAccess:
    """A certificate of kubeadm's super-admin: it works before any role binding exists."""
    keys = ClusterKeys.derive(seed, plex.name, plex.epoch)
    pair = keys.super_admin()
    url = f"https://{forwarded_endpoint(plex)}"
    return ApiAccess(url, keys.ca.pair.certificate, pair.certificate, pair.key)


@contextmanager
def cluster(plex: Plex, seed: RootSeed) -> Iterator[Kube]:
    """A client of `plex` with every right."""
    with connect(api_access(plex, seed)) as kube:
        yield kube
