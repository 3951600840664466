"""The first files of a lab: short, with everything important in sight."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from plexctl.config.faults import Fault
from plexctl.config.networks import free_networks
from plexctl.config.schema import FOLDER, file_name
from plexctl.config.values.names import parse_plex_name
from plexctl.errors import UsageError
from plexctl.model.folder import lab_file, write_missing
from plexctl.model.plex import Networks
from plexctl.model.state import find_state, state_folder

STATE = ".plexctl"
SCHEMA_FOLDER = "schemas"
SCHEMAS = f"{STATE}/{SCHEMA_FOLDER}"
"""Editors find the schemas here. Git ignores the folder; `init` writes it again in a clone."""


def write_first(
    root: Path, plex: str, *, kubernetes: str | None = None, used: Iterable[IPv4Network] = ()
) -> tuple[Path, ...]:
    """Write the missing files of a lab at `root` with the plex `plex`; returns the written files.

    Existing files stay as they are; only .gitignore may get one more line. The plex has the version
    `kubernetes`, and networks that overlap with none of `used`. UsageError if the name is not valid
    for a plex, or if no network is free.
    """
    check_name(plex)
    hosts_file = root / "clusters" / "hosts.yaml"
    plex_file = root / "clusters" / plex / "plex.yaml"
    find_state(root / STATE)  # before anything is written
    written = []
    if write_missing(root, hosts_file, _hosts().encode()):
        written.append(hosts_file)
    if not plex_file.exists():
        networks = free_networks(used, plex)
        if write_missing(root, plex_file, _plex(kubernetes, networks).encode()):
            written.append(plex_file)
    if _ignore(root, root / ".gitignore"):
        written.append(root / ".gitignore")
    write_schemas(root)
    return tuple(written)


def check_name(plex: str) -> None:
    """UsageError if no plex can have this name."""
    try:
        parse_plex_name(plex)
    except Fault as fault:
        raise UsageError(str(fault), hint=fault.hint) from fault


def write_schemas(root: Path) -> None:
    """Write the schemas of this plexctl to where the lab's files refer to them."""
    folder = state_folder(root / STATE).below(SCHEMA_FOLDER)
    for schema in FOLDER.iterdir():
        folder.write_changed(schema.name, schema.read_bytes())


def _ignore(root: Path, file: Path) -> bool:
    """Make git ignore the lab's state. Returns whether a line had to be added."""
    text = file.read_text() if file.exists() else ""
    if any(line.strip().strip("/") == STATE for line in text.splitlines()):
        return False
    between = "" if not text or text.endswith("\n") else "\n"
    folder, name = lab_file(root, file)
    folder.rewrite(name, f"{text}{between}{STATE}/\n".encode())
    return True


def _schema_line(up: str, kind: str) -> str:
    return f"# yaml-language-server: $schema={up}{SCHEMAS}/{file_name(kind)}\n"


def _hosts() -> str:
    return (
        _schema_line("../", "hosts")
        + """\
# The machines that run nodes; the first is the default.
hosts:
  local:
    kind: incus
    pool: default  # its storage pool
    parallel: 4  # number of nodes that boot at the same time
"""
    )


def _plex(kubernetes: str | None, networks: Networks) -> str:
    version = f'kubernetes: "{kubernetes}"\n' if kubernetes else ""
    return (
        _schema_line("../../", "plex")
        + f"""\
# A Kubernetes cluster: one master and its workers. Fields that are missing have defaults.
{version}workers: 2
networks:  # none may overlap with another network of the lab
  nodes: {networks.nodes}
  pods: {networks.pods}
  services: {networks.services}
# groups:  # settings of some nodes
#   - {{nodes: "2-3", size: {{cpu: 2, memory: 2GiB}}, labels: {{disk: fast}}}}
"""
    )
