"""Secrets of the API tokens of Proxmox hosts: stored in the lab, encrypted."""

from __future__ import annotations

from pathlib import Path

from plexctl.errors import PlexError
from plexctl.keys.age import opened, sealed
from plexctl.keys.seed import RootSeed
from plexctl.model.folder import lab_file
from plexctl.model.host_spec import HostSpec
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret

ENDING = ".token.age"


def token_file(lab: Lab, host: str) -> Path:
    return lab.root / "clusters" / "hosts" / f"{host}{ENDING}"


def store_host_token(lab: Lab, seed: RootSeed, host: str, token: Secret) -> bool:
    """Store the secret of a host's token; returns whether it has changed."""
    file = token_file(lab, host)
    folder, name = lab_file(lab.root, file)
    stored = folder.read(name)
    if stored is not None and opened(seed, lab.secrets_epoch, stored) == token:
        return False
    folder.write(name, sealed(seed, lab.secrets_epoch, token), 0o600)
    return True


def delete_host_token(lab: Lab, host: str) -> None:
    folder, name = lab_file(lab.root, token_file(lab, host))
    folder.delete(name)


def read_host_token(lab: Lab, seed: RootSeed, host: HostSpec) -> Secret:
    """The secret of a host's token. PlexError if there is none, or it cannot be decrypted."""
    file = token_file(lab, host.name)
    token = f" --token-id {host.proxmox.token}" if host.proxmox else ""
    hint = f"`plexctl host add {host.name} {host.url} --token --kind {host.kind}{token}`"
    folder, name = lab_file(lab.root, file)
    stored = folder.read(name)
    if stored is None:
        raise PlexError(
            f"the lab has no secret for the API token of host {host.name}",
            hint=f"{hint} stores it",
        )
    found = opened(seed, lab.secrets_epoch, stored)
    if found is None:
        raise PlexError(f"{file} cannot be decrypted", hint=f"{hint} stores it again")
    return found
