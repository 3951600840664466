"""Resource types of a provider: their calls, and how a change of a resource is planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tf.types import Unknown

from .wire import Block, Values, same


class RefusedError(Exception):
    """A message to the user: a summary, and details that may be empty."""

    def __init__(self, summary: str, details: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details


class Resource:
    """One type of resource. A call that a subclass does not implement is refused.

    `replace` are attributes whose change recreates the object, `defaults` what an attribute is
    when nothing is said, `kept` computed attributes that a change in place leaves as they are.
    """

    replace: frozenset[str] = frozenset()
    defaults: ClassVar[Mapping[str, Any]] = {}
    kept: frozenset[str] = frozenset()

    def __init__(self, name: str, block: Block) -> None:
        self.name = name
        self.block = block

    def defaults_for(self, config: Values) -> Mapping[str, Any]:
        """Defaults of attributes that a configuration does not have."""
        return self.defaults

    def check(self, config: Values) -> Sequence[str]:
        """The problems of a configuration, parts of which may be unknown."""
        return ()

    def create(self, planned: Values, made: Values) -> Values:
        """Make it; `made` is filled as soon as there is something that has to be cleaned up."""
        raise self._missing()

    def read(self, state: Values) -> Values | None:
        raise self._missing()

    def update(self, prior: Values, planned: Values) -> Values:
        raise self._missing()

    def delete(self, state: Values) -> None:
        raise self._missing()

    def import_(self, identifier: str) -> Values:
        """The little that is known from an identifier; `read` gets the rest."""
        raise self._missing()

    def _missing(self) -> RefusedError:
        return RefusedError(f"{self.name} is not served here", "This provider is one for tests.")


def plan(
    resource: Resource, prior: Values | None, proposed: Values | None, config: Values
) -> tuple[Values | None, tuple[str, ...]]:
    """The planned values of an object, and the attributes whose change recreates it."""
    if proposed is None:
        return None, ()
    planned = proposed | {
        name: _with_defaults(nested["block"], proposed[name], config[name])
        for name, nested in resource.block.get("block_types", {}).items()
        if isinstance(proposed[name], list) and isinstance(config[name], list)
    }
    computed = {
        name
        for name, fields in resource.block["attributes"].items()
        if fields.get("computed") and config[name] is None
    }
    defaults = resource.defaults_for(config)
    planned |= {name: defaults[name] for name in computed & defaults.keys()}
    if prior is not None and same(planned, prior):
        return prior, ()
    unset = computed - defaults.keys()
    planned |= {name: Unknown for name in unset if prior is None or name not in resource.kept}
    if prior is None:
        return planned, ()
    changed = (name for name in sorted(resource.replace) if not same(prior[name], planned[name]))
    return planned, tuple(changed)


def _with_defaults(block: Block, proposed: list[Any], config: list[Any]) -> list[Any]:
    """The elements of a set of blocks, in which what is computed is what the configuration says.

    No block of the providers here has a computed value that a host decides.
    """
    computed = {name for name, one in block["attributes"].items() if one.get("computed")}
    return [
        element | {name: _DEFAULTS.get(name, "") for name in computed if element[name] is None}
        for element in (config if len(config) == len(proposed) else proposed)
    ]


_DEFAULTS = {"append": False, "mode": "0755"}
