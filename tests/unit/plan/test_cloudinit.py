"""The configuration of cloud-init, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import yaml

from plexctl.model.nodes import node, nodes
from plexctl.model.plex import Plex
from plexctl.plan.boot.cloudinit import meta_data, network_config, user_data

NETWORK = """\
ethernets:
  eth0:
    addresses:
    - 10.64.3.12/24
    match:
      macaddress: 10:66:6a:2a:00:02
    nameservers:
      addresses:
      - 10.64.3.1
    routes:
    - to: 0.0.0.0/0
      via: 10.64.3.1
    set-name: eth0
version: 2
"""

USER = """\
#cloud-config
bootcmd:
- - cloud-init-per
  - instance
  - plex-boot
  - /bin/sh
  - -c
  - |
    set -eu
    seed=/run/plexctl/seed
    mkdir -p $seed
    mount -o ro -L CIDATA $seed
    install -D -m 0600 $seed/boot.tar /var/lib/plexctl/boot.tar
    umount $seed
    /usr/local/lib/plexctl/boot
manage_etc_hosts: false
preserve_hostname: true
ssh_deletekeys: false
ssh_genkeytypes: []
users: []
"""


def test_the_network_is_the_nodes_own_in_version_2(demo: Plex) -> None:
    assert network_config(demo, node(demo, 2)) == NETWORK


def test_every_mac_is_a_text(demo: Plex) -> None:
    """YAML 1.1 reads some as numbers to the base of sixty."""
    for one in nodes(replace(demo, workers=80)):
        found = yaml.safe_load(network_config(demo, one))
        assert found["ethernets"]["eth0"]["match"]["macaddress"] == one.mac


def test_user_data_unpacks_the_tar_of_the_seed_once() -> None:
    assert user_data() == USER


def test_meta_data_names_the_instance() -> None:
    assert meta_data("demo2") == "instance-id: plex-demo2\nlocal-hostname: demo2\n"
