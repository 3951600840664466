"""The inputs of a plan besides the plex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.registry import Registry


@dataclass(frozen=True, slots=True)
class Inputs:
    """The seed of the lab, and facts about hosts and depot."""

    seed: RootSeed
    hosts: Mapping[str, HostSpec]
    facts: Mapping[str, HostFacts]  # by host
    control_plane_images: Mapping[str, str]  # component -> reference
    baked: Mapping[tuple[str, str], str]  # (host, type) -> name of the image
    registry: Registry | None = None  # through which nodes pull images
