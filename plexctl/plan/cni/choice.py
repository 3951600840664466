"""The pod network that a plex has chosen."""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.model.kinds import Cni
from plexctl.model.plex import Plex
from plexctl.plan.cni.interface import PodNetwork
from plexctl.plan.cni.none import NoPodNetwork
from plexctl.plan.cni.static import StaticPodNetwork

POD_NETWORKS: Mapping[Cni, PodNetwork] = {
    Cni.STATIC: StaticPodNetwork(),
    Cni.NONE: NoPodNetwork(),
}


def cni_of(plex: Plex) -> PodNetwork:
    return POD_NETWORKS[plex.cni]
