"""The lab that a command is for, without typer: as `plexctl` opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plexctl.model.lab import Lab
    from plexctl.workflow.context import Context


@contextmanager
def opened(directory: Path, *, quiet: bool = True, verbose: bool = False) -> Iterator[Context]:
    """The lab around `directory` with its seed and hosts; progress is shown until it ends."""
    from plexctl.cli.session import cache, passphrase
    from plexctl.config.load import find_lab
    from plexctl.render.progress import progress
    from plexctl.workflow.context import open_lab

    root = find_lab(directory)
    with progress(quiet=quiet, verbose=verbose) as listener:
        yield open_lab(root, cache=cache(), listener=listener, ask=passphrase())


def files(directory: Path) -> Lab:
    """What the files of the lab around `directory` say: no seed and no host is asked."""
    from plexctl.config.load import find_lab, load_lab
    from plexctl.depot.pins import load_pins

    root = find_lab(directory)
    return load_lab(root, load_pins(root / "pins").versions())


def inventory(directory: Path) -> dict[str, Any]:
    """Ansible's inventory of the lab, as `plexctl inventory` prints it."""
    from plexctl.workflow.access import ansible_inventory

    with opened(directory) as ctx:
        return ansible_inventory(ctx)
