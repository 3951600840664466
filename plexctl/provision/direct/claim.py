"""Clones that an interrupted OpenTofu left on Proxmox hosts before it configured them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from plexctl.model.lab_id import is_lab
from plexctl.model.observed import HostState
from plexctl.plan.resources.types import Owner


def claim_bare_clones(states: Mapping[str, HostState], owner: Owner) -> dict[str, HostState]:
    """`states` in which clones without a configuration are nodes of `owner` that never started.

    OpenTofu's provider clones first. Until it configures the clone, the VM has the notes of its
    template.
    """
    return {name: _claimed(state, owner) for name, state in states.items()}


def _claimed(state: HostState, owner: Owner) -> HostState:
    bare = {
        name: replace(instance, tags=owner.tags, started=False)
        for name, instance in state.instances.items()
        if is_lab(instance.tags.get("plexctl.lab"), owner.lab)
        and re.fullmatch(rf"{re.escape(owner.plex)}[1-9]\d*", name)
    }
    return replace(state, instances={**state.instances, **bare}) if bare else state
