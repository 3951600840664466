"""The interface of all builders of images: their inputs and their result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from plexctl.bake.roles import FindRole
from plexctl.depot.index import Stored
from plexctl.keys.seed import RootSeed
from plexctl.model.events import Reporter
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.plan.recipes import Recipe


@dataclass(frozen=True, slots=True)
class BakedImage:
    """An image on a host. `changed` says whether this bake created it."""

    name: str
    fingerprint: str  # as the host names it; of a template its identifier or its volume
    changed: bool


@dataclass(frozen=True, slots=True)
class BakeSetup:
    """The inputs that all bakes of a run share."""

    artifacts: Mapping[str, Stored]  # depot components, by name
    find_role: FindRole
    seed: RootSeed
    reporter: Reporter
    work: Path  # a folder of the user's on a disk: locks and logs, in a folder for each host
    incus_config: Callable[[HostSpec], Path] | None = None  # of the command incus, for a host

    def incus_environment(self, host: HostSpec) -> dict[str, str]:
        """The variables with which the command incus finds a host."""
        if host.url is None:
            return {"INCUS_SOCKET": host.socket}
        assert self.incus_config is not None, host.name
        return {"INCUS_CONF": str(self.incus_config(host))}

    @property
    def lab(self) -> str:
        return self.seed.lab_id


class ImageBuilder(Protocol):
    """Brings images onto one host."""

    def ensure(self, recipe: Recipe, nodes: HostFacts) -> BakedImage:
        """The image of `recipe` on the host; baked, with the layers below it, if it is missing.

        Quick if it is there. `nodes` are the facts of the kernel that the image's nodes run on.
        What an interrupted bake left is deleted; an image that has its name is never changed.
        PlexError if it cannot be baked.
        """
