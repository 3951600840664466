"""The lab that a script is called in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plexctl.model.lab import Lab


def files(directory: Path) -> Lab:
    """The configuration of the lab around `directory`. Reads no seed and calls no host."""
    from plexctl.config.load import find_lab, load_lab
    from plexctl.depot.pins import load_pins

    root = find_lab(directory)
    pins = load_pins(root / "pins")
    return load_lab(root, pins.versions(), pins.components())


def inventory(directory: Path) -> dict[str, Any]:
    """Ansible's inventory of the lab, as `plexctl inventory` prints it."""
    from plexctl.cli.session import opened
    from plexctl.workflow.plex.access import ansible_inventory

    with opened(directory, quiet=True) as ctx:
        return ansible_inventory(ctx)
