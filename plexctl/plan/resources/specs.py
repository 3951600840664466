"""Specs of instances: one class for each kind of host."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.model.settings import Devices, Settings, settings

USER_DATA, NETWORK_CONFIG, META_DATA = "user-data", "network-config", "meta-data"


@dataclass(frozen=True, slots=True)
class IncusSpec:
    """An instance on an Incus host, in the words of Incus' API."""

    profile: str
    config: Settings
    devices: Devices

    def hashed(self) -> dict[str, object]:
        """The input of the instance's hash. Another value replaces instances that run."""
        return {"profile": self.profile, "config": self.config, "devices": self.devices}


@dataclass(frozen=True, slots=True)
class CloudInit:
    """The documents that cloud-init reads from the seed of a VM. They contain no secret."""

    user_data: str
    network_config: str
    meta_data: str


@dataclass(frozen=True, slots=True)
class ProxmoxSpec:
    """A VM or a container on a Proxmox host."""

    mac: str
    bridge: str
    memory: int  # MiB
    cores: int | None = None  # None: all processors of the host; a VM always has a number
    disk: int | None = None  # MiB; None: as large as the template
    vlan: int | None = None
    pci: tuple[str, ...] = ()  # PCI mappings of the cluster; only a VM can have any
    cloud_init: CloudInit | None = None  # of a VM; None: it is a container
    privileged: bool = False  # of a container

    def hashed(self) -> dict[str, object]:
        """As `IncusSpec.hashed`: the shape is the one of an instance with Incus' settings."""
        config = {"memory": str(self.memory), "mac": self.mac, "bridge": self.bridge}
        if self.cloud_init:
            config[USER_DATA] = self.cloud_init.user_data
            config[NETWORK_CONFIG] = self.cloud_init.network_config
            config[META_DATA] = self.cloud_init.meta_data
        else:
            config["privileged"] = "yes" if self.privileged else "no"
        numbers = {"cores": self.cores, "vlan": self.vlan, "disk": self.disk}
        config |= {key: str(number) for key, number in numbers.items() if number is not None}
        config |= {f"pci.{number}": mapping for number, mapping in enumerate(self.pci)}
        return {"profile": "", "config": settings(config), "devices": ()}
