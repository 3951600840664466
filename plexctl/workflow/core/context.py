"""The context of a verb: the lab, its seed and its hosts. Never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plexctl.config.load import load_lab
from plexctl.depot.components import Pins
from plexctl.depot.pins import load_pins
from plexctl.errors import UsageError
from plexctl.keys.seed import RootSeed, load_or_create, user_config_dir
from plexctl.model.folder import Folder
from plexctl.model.host import Host
from plexctl.model.lab import CURRENT, Lab
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.model.state import find_state, state_folder
from plexctl.provision.direct.engine import DirectEngine
from plexctl.workflow.core.clients import host_clients

if TYPE_CHECKING:
    from plexctl.model.events import Listener
    from plexctl.provision.engine import Engine

Approve = Callable[[Sequence[str]], bool]
"""Shows lines about what would run on this machine to the user, and asks whether to go on."""

Consent = Callable[[str, str], None]
"""Asks whether something may be lost (a clause), and names what would keep it (a sentence).

UsageError where there is no terminal to ask on, PlexError if the user refuses.
"""

PLEXES = "plexes"
"""In the lab's state: a folder for each plex."""


@dataclass(frozen=True, slots=True)
class Context:
    """A lab, its seed, its hosts, and the listener of its events."""

    lab: Lab
    seed: RootSeed
    pins: Pins
    hosts: Mapping[str, Host]
    engine: Engine
    cache: Path  # the user's folder for the depot and bakes
    listener: Listener
    approve: Approve | None = None  # None: there is nobody to ask
    consent: Consent | None = None  # None: there is nobody to ask

    def access(self, plex: str) -> Path:
        """The folder of a plex' kubeconfig and SSH files."""
        return self.lab.state / PLEXES / plex

    def plex_folder(self, plex: str) -> Folder:
        """The same for reading and writing. UsageError if the lab's state folder is not ours."""
        return state_folder(self.lab.state).below(PLEXES, plex)


def open_lab(
    root: Path,
    *,
    cache: Path,
    listener: Listener,
    ask: Callable[[], Secret] | None = None,
    approve: Approve | None = None,
    consent: Consent | None = None,
) -> Context:
    """Read a lab. ConfigError with all its problems. Creates its seed if it has none.

    `ask` is called for the passphrase of the seed, if it has one; `approve` before a part of the
    lab runs programs on this machine, if the user has not trusted it; `consent` before a cluster is
    lost.
    """
    pins = load_pins(root / "pins", whole=True)
    lab = load_lab(root, pins.versions(), pins.components())
    seed = load_or_create(root, user_config_dir(), ask)
    hosts = host_clients(lab, seed)
    return Context(lab, seed, pins, hosts, DirectEngine(hosts), cache, listener, approve, consent)


def find_plex(ctx: Context, name: str | None) -> Plex:
    """The plex called `name`; without a name the current one, or the only one."""
    plexes = ctx.lab.plexes
    if name == "":
        raise UsageError("the name of a plex must not be empty", hint="leave it out, or name one")
    chosen = name or current_plex(ctx) or (next(iter(plexes)) if len(plexes) == 1 else None)
    if chosen is None:
        raise UsageError(
            f"no plex is named, and the lab has {', '.join(plexes) or 'none'}",
            hint="name one, or set the current plex: `plexctl use PLEX`"
            if plexes
            else "`plexctl init` writes a first one",
        )
    if chosen not in plexes:
        raise UsageError(
            f"there is no plex {chosen} in {ctx.lab.root / 'clusters'}",
            hint=f"there are: {', '.join(plexes) or 'none'}",
        )
    return plexes[chosen]


def current_plex(ctx: Context) -> str | None:
    """The plex that `plexctl use` has set, if it still exists."""
    try:
        state = find_state(ctx.lab.state)
    except UsageError:  # verbs that need the state folder report it
        return None
    name = ((state and state.read(CURRENT)) or b"").decode(errors="replace").strip()
    return name if name in ctx.lab.plexes else None


def use_plex(ctx: Context, name: str) -> Plex:
    """Make `name` the current plex."""
    plex = find_plex(ctx, name)
    state_folder(ctx.lab.state).write(CURRENT, f"{name}\n".encode())
    return plex
