"""The resource types of lxc/incus."""

from __future__ import annotations

from ..resource import Resource
from ..server import Servicer
from ..wire import recorded
from .common import Object, Remotes
from .instance import Instance
from .objects import Acl, Network, Profile, Volume

SERVED: dict[str, type[Object]] = {
    "incus_network": Network,
    "incus_network_acl": Acl,
    "incus_profile": Profile,
    "incus_storage_volume": Volume,
    "incus_instance": Instance,
}


def servicer() -> Servicer:
    """Serves all types of the recorded schema; what is not in SERVED says so when it is used."""
    schema, remotes = recorded("incus"), Remotes()
    resources: dict[str, Resource] = {}
    for name, entry in schema["resource_schemas"].items():
        kind = SERVED.get(name)
        block = entry["block"]
        resources[name] = kind(name, block, remotes) if kind else Resource(name, block)
    return Servicer(schema, resources, remotes.configure)
