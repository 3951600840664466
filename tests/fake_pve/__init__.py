"""A stateful stand-in for Proxmox VE over real HTTPS, held to the official API schema.

Only `FakePve` and the values it shows are for tests; everything else is its inside.
"""

from tests.fake_pve.pve import FakePve
from tests.fake_pve.state import Guest, Request, Storage, Volume

__all__ = ["FakePve", "Guest", "Request", "Storage", "Volume"]
