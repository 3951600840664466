"""The variables of a plex for terraform/incus, and what Incus has of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...provider.incus.client import NotFoundError, Server
from ...provider.tofu import Tofu
from ..support import LOCAL, host

NAME = "tofumod"  # of all that is made here
IMAGES = (f"{NAME}-a", f"{NAME}-b")
NETWORK, PROFILE, VOLUME = f"local/{NAME}", f"local/{NAME}-kube", f"local/{NAME}-data"
ACL = NETWORK
SECRET = "what only a node may have"
GENERATION = "module.master.terraform_data.generation"
MASTER, WORKER = f"{NAME}1", (f"{NAME}2", f"{NAME}3")
VOLUME_RESOURCE = f'incus_storage_volume.volume["{VOLUME}"]'
SEED_RESOURCE = VOLUME_RESOURCE.replace("volume.volume", "volume.seed")
GENERATIONS = (
    GENERATION,
    "module.worker.terraform_data.generation",
    "terraform_data.content",
)


def clean(server: Server) -> None:
    """Remove all that an earlier session may have left."""
    incus = host()
    for name in instances(server):
        incus.delete_instance(name)
    for path in (
        ("profiles", f"{NAME}-kube"),
        ("profiles", f"{NAME}-far"),
        ("networks", NAME),
        ("network-acls", NAME),
        ("storage-pools", LOCAL.pool, "volumes", "custom", f"{NAME}-data"),
    ):
        try:
            server.call("DELETE", path)
        except NotFoundError:
            continue


def instances(server: Server) -> dict[str, str]:
    """Instances of these tests by name, with what is different for each one that was ever made."""
    found = server.get("instances", recursion="1")
    return {
        one["name"]: one["config"]["volatile.uuid"] for one in found if one["name"].startswith(NAME)
    }


def variables(tofu: Tofu, number: int = 3, *, stopped: bool = False) -> dict[str, Any]:
    """A master and its workers, as plexctl writes them."""
    tags = {"user.plex.lab": NAME}
    return {
        "plex": NAME,
        "config_dir": None,
        "hosts": {"local": {"address": f"unix://{LOCAL.address}"}},
        "acls": {
            ACL: {
                "host": "local",
                "name": NAME,
                "ingress": [{"action": "allow", "source": "10.199.77.0/24,10.77.0.0/16"}],
                "egress": [
                    {"action": "allow"},
                    {"action": "drop", "protocol": "udp", "destination_port": "4789"},
                ],
                "config": tags,
            }
        },
        "networks": {
            NETWORK: {
                "host": "local",
                "name": NAME,
                "config": {"ipv4.address": "10.199.77.1/24", "ipv6.address": "none", **tags}
                | {"security.acls": NAME},
            }
        },
        "profiles": {
            PROFILE: {
                "host": "local",
                "name": f"{NAME}-kube",
                "config": {"environment.PLEX_BOOT": "wait", **tags},
                "devices": {
                    "eth0": {"type": "nic", "network": NAME},
                    "root": {"type": "disk", "path": "/", "pool": LOCAL.pool},
                },
                "network": NETWORK,
            }
        },
        "volumes": {
            VOLUME: {
                "host": "local",
                "name": f"{NAME}-data",
                "pool": LOCAL.pool,
                "type": "custom",
                "content_type": "filesystem",
                "config": tags,
            }
        },
        "instances": {
            f"{NAME}{index}": {
                "host": "local",
                "form": "container",
                "image": IMAGES[0],
                "profile": PROFILE,
                "config": {"user.plex.hash": "1", "user.plex.run": "a"},
                "devices": {
                    "eth0": {
                        "type": "nic",
                        "network": NAME,
                        "hwaddr": f"00:16:3e:6d:77:{index:02x}",
                    }
                },
                "boot": None if stopped else str(tofu.folder.parents[1] / "boot.tar"),
                "generation": "a",
                "parent": None if index == 1 else MASTER,
                "running": not stopped,
            }
            for index in range(1, number + 1)
        },
    }


def resource(name: str) -> str:
    kind = "master" if name == MASTER else "worker"
    return f'module.{kind}.incus_instance.node["{name}"]'


def identifiers(wanted: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Identifiers that import all existing objects of `wanted`; its instances are `names`."""
    return {
        f'incus_network_acl.acl["{ACL}"]': f"local:{NAME}",
        f'incus_network.network["{NETWORK}"]': f"local:{NAME}",
        f'incus_profile.profile["{PROFILE}"]': f"local:{NAME}-kube",
        (
            SEED_RESOURCE if "source" in wanted["volumes"][VOLUME] else VOLUME_RESOURCE
        ): f"local:/{LOCAL.pool}/{NAME}-data",
    } | {
        resource(name): f"local:{name},image={one['image']}"
        for name, one in wanted["instances"].items()
        if name in names
    }


def adopt(tofu: Tofu, wanted: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Take over what no state knows of, and make what is missing; what the import has planned."""
    targets = (f"-target=module.incus.{one}" for one in GENERATIONS)
    tofu.run("apply", "-auto-approve", *targets)
    with tofu.importing(identifiers(wanted, names)):
        planned = tofu.planned()
        tofu.run("apply", "-auto-approve")
    return planned
