"""The lab's registry on one host: its node, the volume that outlives it, and its configuration.

The program is Zot, or one of our own where Zot is not available (`pins/registry`). Both are
started the same way and read the same file, Zot's configuration.
"""

from __future__ import annotations

import json
from base64 import b64encode

from plexctl.errors import PlexError
from plexctl.keys.lab import PUSHER, LabKeys
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.nodes import mac
from plexctl.model.registry import PORT, Registry
from plexctl.model.types import Form, NodeType
from plexctl.plan.boot.files import BootFile, pack, private, text
from plexctl.plan.boot.node import ssh_files
from plexctl.plan.network.files import link_lines, machine_files
from plexctl.plan.network.links import Site, bridge
from plexctl.plan.resources.incus import machine, machine_profile
from plexctl.plan.resources.types import Owner, Resource, Volume

FOLDER = "/etc/plexctl"
DATA = "/var/lib/registry"
CREDENTIALS = "/run/credentials/plex-registry.service"
"""The folder where the user of the unit can read its secret files, which FOLDER does not allow."""

EPOCH = 1
"""The epoch of the SSH host key. Nodes of a plex have the epoch of their plex."""

SALT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""The alphabet of bcrypt, in the order of BASE64."""

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def registry_resources(
    registry: Registry,
    node_type: NodeType,
    seed: RootSeed,
    host: HostSpec,
    facts: HostFacts,
    image: str,
) -> tuple[Resource, ...]:
    """The network, profile, volume and instance of the registry on `host`.

    They are the same on every host of the lab. PlexError if the type is one of VMs: only a
    container can mount the volume as a folder.
    """
    if node_type.base.form is Form.VM:
        raise PlexError(
            "the lab's registry cannot be a VM",
            hint=f"give the type {node_type.name} a base with `form: container`",
        )
    owner = Owner(seed.lab_id, registry.name)
    network = bridge(owner, host.name, registry.gateway)
    site = Site(host, registry.gateway, network.name, network)
    profile = machine_profile(owner, site, node_type, facts)
    limit = (("size", str(registry.size)),) if registry.size else ()
    volume = Volume(registry.name, host.name, owner, host.pool, limit)
    disk = {"type": "disk", "pool": host.pool, "source": volume.name, "path": DATA}
    node = machine(
        registry.name,
        profile,
        node_type,
        size=node_type.size,
        mac=mac(registry.name, 1),
        image=image,
        pool=host.pool,
        facts=facts,
        boot=pack(registry_files(registry, seed)),
        disks={"data": disk},
        needs=(volume.key,),
    )
    return network, profile, volume, node


def registry_files(registry: Registry, seed: RootSeed) -> tuple[BootFile, ...]:
    """The files that its node boots with."""
    gateway = registry.gateway.ip
    names = f"127.0.0.1 localhost\n{registry.ip} {registry.name}\n"
    keys = LabKeys.derive(seed)
    pair = keys.registry(registry.name, registry.ip)
    return (
        *machine_files(registry.name, gateway, names, link_lines(registry.address, gateway)),
        *ssh_files(host_key(seed, registry.name, EPOCH, registry.name), client_key(seed)),
        text(f"{FOLDER}/registry.json", json.dumps(configuration(registry), indent=2) + "\n"),
        text(f"{FOLDER}/registry.crt", pair.certificate.decode()),
        private(f"{FOLDER}/registry.key", pair.key.reveal()),
        private(f"{FOLDER}/registry.htpasswd", _password_file(keys)),
    )


def configuration(registry: Registry) -> dict[str, object]:
    """The configuration of Zot, which refuses unknown keys."""
    upstreams = [
        {
            "urls": [url],
            "onDemand": True,
            "tlsVerify": True,
            "content": [{"prefix": "**", "destination": f"/{name}"}],
            # Together with `compat` below: images keep the digests of their upstream.
            "preserveDigest": True,
        }
        for name, url in registry.upstreams
    ]
    everyone_reads = {
        "anonymousPolicy": ["read"],
        "policies": [{"users": [PUSHER], "actions": ["read", "create", "update", "delete"]}],
    }
    return {
        "distSpecVersion": "1.1.1",
        # An image that was pulled by digest has no tag, and would be collected as garbage.
        "storage": {"rootDirectory": DATA, "gc": False},
        "http": {
            "address": str(registry.ip),
            "port": str(PORT),
            "compat": ["docker2s2"],
            "tls": {"cert": f"{FOLDER}/registry.crt", "key": f"{CREDENTIALS}/key"},
            "auth": {"htpasswd": {"path": f"{CREDENTIALS}/htpasswd"}},
            "accessControl": {"repositories": {"**": everyone_reads}},
        },
        "log": {"level": "warn"},
        "extensions": {"sync": {"enable": True, "registries": upstreams}},
    }


def _password_file(keys: LabKeys) -> bytes:
    """The line of the user that may push. Same seed, same bytes.

    The lowest cost of bcrypt is enough: nobody guesses a password of 256 bits.
    """
    import bcrypt  # only the plan of a registry needs it

    salt = b64encode(keys.seed.derive("registry", "push", "salt", length=16)).decode().rstrip("=")
    spelled = salt.translate(str.maketrans(BASE64, SALT))
    digest = bcrypt.hashpw(keys.push_password().reveal(), f"$2b$04${spelled}".encode())
    return f"{PUSHER}:{digest.decode()}\n".encode()
