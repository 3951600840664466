"""Connecting to a plex as its owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plexctl.clients.kube import Kube, connect
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.model.plex import Plex
from plexctl.plan.kubeadm import outer_endpoint


@contextmanager
def cluster(plex: Plex, seed: RootSeed) -> Iterator[Kube]:
    """A client of `plex` with every right, which needs no binding to exist yet."""
    keys = ClusterKeys.derive(seed, plex.name, plex.epoch)
    url = f"https://{outer_endpoint(plex)}"
    with connect(url, keys.ca.pair.certificate, keys.super_admin()) as kube:
        yield kube
