"""A client for each host of a lab."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import cast

from plexctl.clients.incus import Incus
from plexctl.clients.incus_connection import Credentials
from plexctl.clients.proxmox import ProxmoxVE
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.files import write_atomic, write_private
from plexctl.model.hosts import Host
from plexctl.model.kinds import HostKind
from plexctl.model.lab import Lab

FOLDER = "hosts"
"""In the lab's state: what plexctl shows to servers over HTTPS, laid out as `incus` has it."""


def host_clients(lab: Lab, seed: RootSeed) -> dict[str, Incus]:
    """By host. None of them is connected yet."""
    remote = any(not host.local for host in lab.hosts.values())
    shown = credentials(lab, seed) if remote else None
    return {name: _client(lab, seed, host, shown) for name, host in lab.hosts.items()}


def _client(lab: Lab, seed: RootSeed, host: Host, shown: Credentials | None) -> Incus:
    if host.kind is HostKind.PROXMOX:
        from plexctl.workflow.host_tokens import read_host_token

        return cast(Incus, ProxmoxVE(host, lambda: read_host_token(lab, seed, host)))
    return Incus(host, shown)


def servers_folder(lab: Lab, seed: RootSeed) -> Path:
    """The lab's credentials and its servers' certificates, as the command `incus` has them.

    PlexError if a server that is not known yet does not answer, or is another one.
    """
    from plexctl.clients.pinned import fingerprint, server_certificate

    folder = credentials(lab, seed).key.parent
    for host in lab.hosts.values():
        if host.local or host.kind is not HostKind.INCUS:
            continue
        assert host.url is not None
        file = folder / "servercerts" / f"{host.name}.crt"
        if file.exists() and fingerprint(_der(file)) == host.certificate:
            continue
        shown = server_certificate(host.url)
        if fingerprint(shown) != host.certificate:
            raise PlexError(
                f"host {host.name}: {host.url} has another certificate than the one that is known"
            )
        file.parent.mkdir(exist_ok=True)
        write_atomic(file, ssl.DER_cert_to_PEM_cert(shown).encode())
    return folder


def _der(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


def credentials(lab: Lab, seed: RootSeed) -> Credentials:
    """The lab's client certificate and its key as files; the library wants them so."""
    # What makes keys takes long to load, and a lab of this machine alone needs none here.
    from plexctl.keys.lab import LabKeys

    folder = lab.state / FOLDER
    found = Credentials(folder / "client.crt", folder / "client.key")
    pair = LabKeys.derive(seed).client()
    if not found.key.exists() or found.key.read_bytes() != pair.key.reveal():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(found.key, pair.key.reveal())
    if not found.certificate.exists() or found.certificate.read_bytes() != pair.certificate:
        write_atomic(found.certificate, pair.certificate)
    return found
