"""Helpers of the tests of Proxmox hosts: a fake host, and a client for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.model.host_spec import HostSpec, Proxmox
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from tests.fake_pve import FakePve

TOKEN = "plexctl@pve!lab"
TEMPLATE = "plex-kube-0123456789ab"
DOCUMENT = Path(__file__).parents[1] / "docs" / "how-to" / "proxmox.md"


def documented_privileges() -> list[str]:
    """The privileges that the documentation gives the token."""
    (privileges, *_) = re.findall(r'role add \S+ --privs "([^"]+)"', DOCUMENT.read_text())
    return str(privileges).split()


def host_of(pve: FakePve, *, parallel: int = 4, **more: Any) -> HostSpec:
    return HostSpec(
        "pve1",
        HostKind.PROXMOX,
        socket="",
        pool="local-lvm",
        parallel=parallel,
        url=pve.url,
        certificate=pve.fingerprint.replace(":", "").lower(),
        bridge="vmbr0",
        proxmox=Proxmox("pve1", TOKEN, **more),
    )


def client_of(
    pve: FakePve,
    privileges: Any = None,
    *,
    patience: float = 30,
    reach: float = 5,
    **more: Any,
) -> ProxmoxHost:
    """A client with a token of its own. Its secret is in `secrets_of`."""
    secret = pve.add_token("plexctl@pve", "lab", privileges)
    SECRETS[pve.port] = secret
    host = host_of(pve, **more)
    return ProxmoxHost(host, Secret(secret.encode()), patience=patience, reach=reach)


SECRETS: dict[int, str] = {}


def with_login(server: ProxmoxHost, ssh: str) -> ProxmoxHost:
    """The same client, with an SSH login to the node."""
    secret = SECRETS[int(str(server.spec.url).rpartition(":")[2])]
    return ProxmoxHost(replace(server.spec, ssh=ssh), Secret(secret.encode()), patience=30, reach=5)


def with_template(server: ProxmoxHost, name: str = TEMPLATE, lab: str = "lab1") -> str:
    """Make a template as a bake does; its identifier."""
    tags: Mapping[str, str] = {"plexctl.recipe": name, "plexctl.lab": lab}
    options = {"scsi0": "local-lvm:2", "agent": "enabled=1", "memory": 512}
    vmid = server.vms.create("plex-bake", tags, options)
    server.vms.to_template(vmid, name, tags)
    return str(vmid)
