"""Image recipes: everything that decides an image's bytes, hashed layer by layer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from plexctl.model.host_spec import HostFacts
from plexctl.model.types import Base, Layer, NodeType

BASE = Layer("base", ())
BASE_ROLE = "base"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One layer of a type's image. `digest` covers this layer and all layers below it."""

    layer: Layer
    role: str  # folder below roles/ whose tasks/<layer>.yml is applied
    base: Base
    privileged: bool
    kubernetes: str
    digest: str  # sha256, hex
    parent: Recipe | None
    shared: bool = False  # whether its nodes share a volume: see NodeType.shares

    @property
    def name(self) -> str:
        """The image's name. It changes with everything that decides the image's bytes."""
        return f"plex-{self.layer.name}-{self.digest[:12]}"


def recipe(
    node_type: NodeType,
    kubernetes: str,
    *,
    roles: Mapping[tuple[str, str], str],
    artifacts: Mapping[str, str],
    facts: HostFacts,
) -> Recipe:
    """The recipe of a type's image, its layers below it as `parent`.

    `roles` has the digest of the files of each (role, layer), `artifacts` the digest of each depot
    component. KeyError if one that the type names is missing.
    """
    base = node_type.base
    below = Recipe(
        BASE, BASE_ROLE, base, node_type.privileged, "", _digest(None, _base(base, roles)), None
    )
    for layer in node_type.layers:
        content = {
            "role": roles[node_type.role, layer.name],
            "artifacts": {name: artifacts[name] for name in layer.artifacts},
            "privileged": node_type.privileged,
            "cgroup": facts.cgroup,
            "sys_resource": facts.sys_resource,
        }
        below = Recipe(
            layer,
            node_type.role,
            base,
            node_type.privileged,
            kubernetes,
            _digest(below, content),
            below,
            node_type.shares,
        )
    return below


def layers(top: Recipe) -> tuple[Recipe, ...]:
    """`top` and all layers below it, the base first."""
    return (*layers(top.parent), top) if top.parent else (top,)


def _base(base: Base, roles: Mapping[tuple[str, str], str]) -> dict[str, object]:
    return {
        "release": base.release,
        "form": base.form,
        "source": base.source,
        "packages": list(base.packages),
        "server": base.server,
        "image": base.image,
        "url": base.url,
        "checksum": base.checksum,
        "role": roles[BASE_ROLE, BASE.name],
    }


def _digest(below: Recipe | None, content: Mapping[str, object]) -> str:
    text = json.dumps([below.digest if below else None, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
