"""Results of commands that compare a plex with its hosts."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.provision.change import Action


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """An object that `up` would change, or has changed."""

    action: Action
    kind: str  # "instance", "network", "acl", "profile" or "volume"
    name: str  # on the host
    host: str
    reason: str  # "missing", "image, files or settings changed"


@dataclass(frozen=True, slots=True)
class TofuPlan:
    """The plan of OpenTofu for the same changes."""

    changes: tuple[str, ...]  # "create module.incus.module.master.incus_instance.node[\"demo1\"]"
    text: str  # the output of `tofu plan`


@dataclass(frozen=True, slots=True)
class PlanResult:
    plex: str
    types_to_bake: tuple[str, ...]  # types of nodes whose image is missing
    changes: tuple[ChangeRow, ...]
    tofu: TofuPlan | None = None  # None: the engine is not OpenTofu
    unreachable: tuple[str, ...] = ()  # the reason for each unreachable host
    unknown: tuple[str, ...] = ()  # nodes on unreachable hosts
    notes: tuple[str, ...] = ()  # hosts with another time, and scheduled backups to set up
    loss: str = ""  # why the cluster that exists would end; empty: it stays

    @property
    def empty(self) -> bool:
        """Whether `up` would change nothing, as far as it is known."""
        return not (self.changes or self.types_to_bake or (self.tofu and self.tofu.changes))
