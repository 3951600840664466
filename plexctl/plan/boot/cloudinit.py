"""What cloud-init hands to a node that is a virtual machine, as a NoCloud seed. No secret is in it.

The seed (`plan.seed`) is a small volume. Beside what is made here it has boot.tar, which holds the
node's keys: only the machine itself ever sees that volume.
"""

from __future__ import annotations

import yaml

from plexctl.model.nodes import gateway
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.seed import BOOT_TAR, LABEL
from plexctl.plan.network.links import mtu
from plexctl.plan.resources.profile import NIC

# Once in the life of an instance, and before kubelet: boot commands run ahead of what needs the
# network. Once more would put back certificates that kubelet has renewed since.
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
    """A cloud-config that copies the seed's boot.tar to where plex-boot.service takes it from, and
    unpacks it as that does. The same for every node.
    """
    config = {
        "bootcmd": [["cloud-init-per", "instance", "plex-boot", "/bin/sh", "-c", _UNPACK]],
        "manage_etc_hosts": False,  # names and keys are the tar's
        "preserve_hostname": True,
        "ssh_deletekeys": False,
        "ssh_genkeytypes": [],
        "users": [],
    }
    return "#cloud-config\n" + _dump(config)


def network_config(plex: Plex, node: Node) -> str:
    """The node's static address, in version 2. Its interface is known by its MAC address, and has
    the name that plexctl's own files call it by.
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
    """What tells one instance from another: a machine that is made anew has a new disk, and so
    knows nothing of the one before.
    """
    return _dump({"instance-id": f"plex-{node}", "local-hostname": node})


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks, as a person would write them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _dump(document: object) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=1000)
