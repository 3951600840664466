"""A change of one object of a host, and the options of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from plexctl.model.resources import Key, Kind
from plexctl.plan.resources.types import Instance, Owner, Resource


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"  # in place: networks, ACLs, profiles and volumes
    REPLACE = "replace"  # instances are cattle
    START = "start"
    DELETE = "delete"

    @property
    def past(self) -> str:
        """ "created", "started"."""
        return f"{self.removesuffix('e')}ed"


DELETING = (Action.DELETE, Action.REPLACE)
"""Actions that delete the object as it is now."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an engine would do to one object. Unchanged objects have no `Change`."""

    action: Action
    key: Key
    reason: str
    resource: Resource | None  # None: the plan does not have the object (any more)
    parent_run: str | None = None  # of an instance: the run in which its cluster began, if it stays
    joins: bool = False  # a master that joins others that stay

    @property
    def kind(self) -> Kind:
        return self.key.kind

    @property
    def host(self) -> str:
        return self.key.host

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def is_instance(self) -> bool:
        return self.kind is Kind.INSTANCE

    @property
    def deletes(self) -> bool:
        """Whether the object as it is now is deleted, to be replaced or for good."""
        return self.action in DELETING

    @property
    def parent(self) -> Key | None:
        """Key of the instance whose recreation recreates this one."""
        return self.resource.parent if isinstance(self.resource, Instance) else None


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """Inputs of a comparison besides resources and hosts."""

    owner: Owner
    replace: frozenset[Key] = frozenset()  # instances to replace in any case
    volumes: bool = False  # also delete volumes that the plan does not have, with their data
