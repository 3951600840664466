"""The address of the API in a plex with several masters: keepalived moves it between them.

One of them has it, the others listen for its advertisements. If these stop for 0.8 s, or if its API
server does not answer twice within two seconds, another one takes the address and announces it. It
keeps the address when the first one comes back.
"""

from __future__ import annotations

from plexctl.model.nodes import masters
from plexctl.model.plex import Node, Plex
from plexctl.plan.boot.files import BootFile, text
from plexctl.plan.resources.profile import NIC

FILE = "/etc/keepalived/keepalived.conf"
ROUTER = 10
"""The identifier of the address among others; all messages are unicast between the masters."""

EVERY = 0.25
"""Seconds between two advertisements. The loss of three, and a bit, moves the address."""


def endpoint_files(plex: Plex, node: Node) -> tuple[BootFile, ...]:
    """The configuration of keepalived on a master. A master that is the only one has none."""
    if plex.masters == 1:
        return ()
    peers = "".join(f"\n    {one.address.ip}" for one in masters(plex) if one.name != node.name)
    return (
        text(
            FILE,
            f"""\
global_defs {{
  router_id {node.name}
  vrrp_version 3
  vrrp_garp_master_refresh 5
  script_user root
  enable_script_security
}}
vrrp_script api {{
  script "/usr/local/lib/plexctl/api-answers {node.address.ip}"
  interval 1
  timeout 1
  fall 2
  rise 1
}}
vrrp_instance endpoint {{
  state BACKUP
  nopreempt
  interface {NIC}
  virtual_router_id {ROUTER}
  priority {100 - node.index}
  advert_int {EVERY}
  unicast_src_ip {node.address.ip}
  unicast_peer {{{peers}
  }}
  virtual_ipaddress {{
    {plex.networks.endpoint}/32 dev {NIC}
  }}
  track_script {{
    api
  }}
}}
""",
            0o600,
        ),
    )
