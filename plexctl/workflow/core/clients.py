"""A client for each host of a lab."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from plexctl.clients.hosts import host_client
from plexctl.clients.incus.connection import Credentials
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.files import write_atomic, write_changed
from plexctl.model.host import Host
from plexctl.model.hosts import HostSpec
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret

FOLDER = "hosts"
"""In the lab's state: the client certificate for servers, laid out as `incus` has it."""


def host_clients(lab: Lab, seed: RootSeed) -> dict[str, Host]:
    """By name of host. They connect when they are first used."""
    remote = any(not spec.local for spec in lab.hosts.values())
    shown = credentials(lab, seed) if remote else None
    return {
        name: host_client(spec, shown, partial(_token, lab, seed, spec))
        for name, spec in lab.hosts.items()
    }


def _token(lab: Lab, seed: RootSeed, spec: HostSpec) -> Secret:
    # This import takes long, and most labs have no tokens.
    from plexctl.workflow.host.tokens import read_host_token

    return read_host_token(lab, seed, spec)


def servers_folder(lab: Lab, seed: RootSeed, servers: Iterable[HostSpec]) -> Path:
    """The lab's credentials and the certificates of Incus servers, as the command `incus` has them.

    PlexError if a server whose certificate is not stored yet is unreachable, or shows another one.
    """
    folder = credentials(lab, seed).key.parent
    for host in servers:
        if host.local:
            continue
        certificates = folder / "servercerts"
        certificates.mkdir(exist_ok=True)
        pinned_certificate(host, certificates / f"{host.name}.crt")
    return folder


def pinned_certificate(host: HostSpec, file: Path) -> None:
    """Store the certificate of a host's server in `file`, unless it is there.

    PlexError if the server is unreachable, or shows another certificate than the pinned one.
    """
    from plexctl.clients.pinned import fingerprint, server_certificate

    known = ssl.PEM_cert_to_DER_cert(file.read_text()) if file.exists() else b""
    if fingerprint(known) == host.certificate:
        return
    assert host.url is not None, host.name
    shown = server_certificate(host.url)
    if fingerprint(shown) != host.certificate:
        raise PlexError(
            f"host {host.name}: {host.url} shows another certificate than the pinned one",
            hint="if the server was reinstalled: "
            f"`plexctl host add {host.name} {host.url} --token`",
        )
    write_atomic(file, ssl.DER_cert_to_PEM_cert(shown).encode())


def credentials(lab: Lab, seed: RootSeed) -> Credentials:
    """The lab's client certificate and its key, as files, which pylxd needs."""
    # This import takes long, and a lab of this machine alone needs no certificate.
    from plexctl.keys.lab import LabKeys

    folder = lab.state / FOLDER
    found = Credentials(folder / "client.crt", folder / "client.key")
    pair = LabKeys.derive(seed).client()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_changed(found.key, pair.key.reveal(), 0o600)
    write_changed(found.certificate, pair.certificate)
    return found
