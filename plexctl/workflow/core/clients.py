"""A client for each host of a lab."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from plexctl.clients.hosts import host_client
from plexctl.clients.incus.credentials import Credentials
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.folder import Folder
from plexctl.model.host import Host
from plexctl.model.host_spec import HostSpec
from plexctl.model.lab import Lab
from plexctl.model.secret import Secret
from plexctl.model.state import state_folder

FOLDER = "hosts"
"""In the lab's state: the client certificate for servers, in the layout of the command `incus`."""


COMMAND = "incus"
"""In the lab's state: the configuration of the command `incus`, for a bake over HTTPS."""


def host_clients(lab: Lab, seed: RootSeed) -> dict[str, Host]:
    """The clients by name of host. They connect when they are first used."""
    remote = any(spec.url for spec in lab.hosts.values())
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
    credentials(lab, seed)
    folder = state_folder(lab.state).below(FOLDER)
    for host in servers:
        if host.url:
            pinned_certificate(host, folder.below("servercerts"), f"{host.name}.crt")
    return folder.path


def command_folder(lab: Lab, seed: RootSeed, host: HostSpec) -> Path:
    """A configuration of the command `incus` with one remote: `host`, which has a URL."""
    import yaml  # only bakes need it

    folder = state_folder(lab.state).below(COMMAND)
    shown = credentials(lab, seed)
    folder.write_changed("client.key", shown.key.read_bytes(), 0o600)
    folder.write_changed("client.crt", shown.certificate.read_bytes())
    pinned_certificate(host, folder.below("servercerts"), f"{host.name}.crt")
    remote = {
        "addr": host.url,
        "auth_type": "tls",
        "project": host.project or "default",
        "protocol": "incus",
        "public": False,
    }
    config = yaml.safe_dump({"default-remote": host.name, "remotes": {host.name: remote}})
    folder.write_changed("config.yml", config.encode(), 0o600)
    return folder.path


def pinned_certificate(host: HostSpec, folder: Folder, name: str) -> None:
    """Store the certificate of a host's server in the file `name`, unless it is there.

    PlexError if the server is unreachable, or shows another certificate than the pinned one.
    """
    import ssl  # a lab of this machine alone pins nothing

    from plexctl.clients.pinned import fingerprint, server_certificate

    stored = folder.read(name)
    known = ssl.PEM_cert_to_DER_cert(stored.decode()) if stored else b""
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
    folder.write(name, ssl.DER_cert_to_PEM_cert(shown).encode())


def credentials(lab: Lab, seed: RootSeed) -> Credentials:
    """The lab's client certificate and its key, as files, which pylxd needs."""
    # This import takes long, and a lab of this machine alone needs no certificate.
    from plexctl.keys.lab import LabKeys

    folder = state_folder(lab.state).below(FOLDER)
    pair = LabKeys.derive(seed).client()
    folder.write_changed("client.key", pair.key.reveal(), 0o600)
    folder.write_changed("client.crt", pair.certificate)
    return Credentials(folder.path / "client.crt", folder.path / "client.key")
