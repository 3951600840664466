"""Where images are baked: on which host, and in which folder of this machine. Quick to load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind


def baking_host(hosts: Mapping[str, HostSpec], spec: HostSpec) -> str:
    """The host that bakes for `spec`: a Proxmox host itself, for Incus one that runs here.

    PlexError if there is none.
    """
    return spec.name if spec.kind is HostKind.PROXMOX else container_baking_host(hosts, spec)


def container_baking_host(hosts: Mapping[str, HostSpec], spec: HostSpec) -> str:
    """The Incus server of this machine that bakes containers for `spec`, of whatever kind.

    A bake mounts folders of this machine into its instance. PlexError if there is none.
    """
    local = [h.name for h in hosts.values() if h.kind is HostKind.INCUS and h.local]
    if spec.name in local:
        return spec.name
    if not local:
        raise PlexError(
            f"no host can bake for host {spec.name}: no host of the lab is this machine",
            hint="add this machine's own Incus to clusters/hosts.yaml, as in `local: {}`; "
            "bin/quickstart installs it",
        )
    return local[0]


def container_host(hosts: Mapping[str, HostSpec], spec: HostSpec) -> HostSpec:
    """The Incus server that can run the image of containers on `spec`: where it was baked.

    PlexError if there is none.
    """
    return spec if spec.kind is HostKind.INCUS else hosts[container_baking_host(hosts, spec)]


def temporary_folder(work: Path, host: str) -> Path:
    """A folder that exists while a bake on `host` is under way, and after it was interrupted."""
    return work / host / "tmp"
