"""A server that refuses connections: its service restarts just now, or is stopped."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.folder import PRIVATE, Folder, make_folders
from plexctl.model.host_spec import HostSpec

LATELY = 60.0
"""Seconds for which a server on another machine that has refused for the time of a restart counts
as stopped: only the first command waits for it."""

MANAGED = Path("/run/systemd/system")
"""It exists where systemd runs."""

UNIT = "incus.service"
CHANGING = ("activating", "deactivating", "reloading")

START_IT = "start Incus (bin/quickstart does), or correct `socket` in clusters/hosts.yaml"
START_UNIT = f"`sudo systemctl start {UNIT}`; `journalctl --unit={UNIT}` shows why it ended"
START_HANGS = f"its start hangs: `sudo systemctl restart {UNIT}`"
CHECK_MACHINE = (
    "check that the machine is up and Incus runs there; `plexctl host list` shows all hosts"
)


def may_restart(spec: HostSpec) -> bool:
    """Whether a server that refuses a connection may take one in a moment.

    On this machine systemd knows that, and without systemd nothing restarts it.
    """
    if spec.local:
        return unit_state() in CHANGING
    written = None
    with suppress(PlexError):
        written = _folder().read(_name(spec))
    try:
        return not 0 <= time.time() - float(written or 0) < LATELY
    except ValueError:
        return True


def record_refusal(spec: HostSpec) -> None:
    """Store that another machine's server has refused connections for longer than a restart takes.

    Later commands do not wait for it then (`may_restart`).
    """
    if not spec.local:
        from platformdirs import user_state_path

        with suppress(PlexError, OSError):
            make_folders(user_state_path("plexctl"), PRIVATE)
            _folder().write(_name(spec), str(time.time()).encode(), 0o600)


def start_hint(spec: HostSpec) -> str:
    """What to do about a server that does not answer."""
    if not spec.local:
        return CHECK_MACHINE
    match unit_state():
        case "":
            return START_IT
        case "activating":
            return START_HANGS
        case _:
            return START_UNIT


def unit_state() -> str:
    """The state of this machine's unit: "active", "activating", "inactive" …

    Empty without systemd, and if systemd does not know the unit.
    """
    if not MANAGED.exists():
        return ""
    argv = ("systemctl", "show", "--property=LoadState,ActiveState", UNIT)
    try:
        shown = process.run(argv, timeout=5, check=False).stdout
    except PlexError:
        return ""
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    return found.get("ActiveState", "") if found.get("LoadState") == "loaded" else ""


def _folder() -> Folder:
    from platformdirs import user_state_path

    return Folder(user_state_path("plexctl"), ("refused",), private=True)


def _name(spec: HostSpec) -> str:
    return hashlib.sha256(str(spec.url).encode()).hexdigest()[:16]
