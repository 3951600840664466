"""The configuration of cloud-init on a node that is a VM. It has no secret.

It is on the VM's NoCloud seed (`plan.boot.seed`), a small volume. That volume also has boot.tar
with the node's keys: only the VM itself can read it.
"""

from __future__ import annotations

import yaml

from plexctl.model.nodes import gateway
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.seed import BOOT_TAR, LABEL
from plexctl.plan.network.links import mtu
from plexctl.plan.resources.profile import NIC

# Runs once in the life of an instance, and before kubelet: boot commands run before everything that
# needs the network. A second run would restore certificates that kubelet has renewed since.
_UNPACK = f"""\
set -eu
seed=/run/plexctl/seed
mkdir -p $seed
mount -o ro -L {LABEL} $seed
install -D -m 0600 $seed/{BOOT_TAR} /var/lib/plexctl/boot.tar
umount $seed
/usr/local/lib/plexctl/boot
"""


def user_data() -> str:
    """A cloud-config that copies the seed's boot.tar to the path of plex-boot.service, and unpacks
    it as that service does. It is the same for every node.
    """
    config = {
        "bootcmd": [["cloud-init-per", "instance", "plex-boot", "/bin/sh", "-c", _UNPACK]],
        "manage_etc_hosts": False,  # the tar has /etc/hosts and the SSH keys
        "preserve_hostname": True,
        "ssh_deletekeys": False,
        "ssh_genkeytypes": [],
        "users": [],
    }
    return "#cloud-config\n" + _dump(config)


def network_config(plex: Plex, node: Node) -> str:
    """The node's static address, in version 2 of the format.

    The interface is found by its MAC address. It gets the name that plexctl's other files use.
    """
    router = str(gateway(plex, node).ip)
    size = mtu(plex)
    link = {
        "match": {"macaddress": node.mac},
        "set-name": NIC,
        "addresses": [str(node.address)],
        "routes": [{"to": "0.0.0.0/0", "via": router}],
        "nameservers": {"addresses": [router]},
        **({"mtu": size} if size else {}),
    }
    return _dump({"version": 2, "ethernets": {NIC: link}})


def meta_data(node: str) -> str:
    """The identity of an instance. It need not change with a replaced VM, whose disk is new."""
    return _dump({"instance-id": f"plex-{node}", "local-hostname": node})


class _WithBlocks(yaml.SafeDumper):
    """Writes scripts as literal blocks, as a person would."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_WithBlocks.add_representer(str, _text)


def _dump(document: object) -> str:
    return yaml.dump(
        document, Dumper=_WithBlocks, sort_keys=True, default_flow_style=False, width=1000
    )
