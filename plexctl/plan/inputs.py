"""What a plan is made of besides the plex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.keys.seed import RootSeed
from plexctl.model.hosts import HostFacts, HostSpec
from plexctl.model.registry import Registry


@dataclass(frozen=True, slots=True)
class Inputs:
    """The seed, and what hosts and depot have."""

    seed: RootSeed
    hosts: Mapping[str, HostSpec]
    facts: Mapping[str, HostFacts]  # by host
    control_plane_images: Mapping[str, str]  # component -> reference
    baked: Mapping[tuple[str, str], str]  # (host, type) -> name of the image
    registry: Registry | None = None  # the lab's, which nodes pull images through
