"""A container that boots as a VM does: with cloud-init, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

from plexctl.clients.incus.host import IncusHost

from .support import eventually

NAME = "plexseed-vm"  # not the node's: it must get its name from its files
PACKAGES = ("cloud-init", "netplan.io", "udev", "fuseiso")

_PREPARE = """\
set -eu
ip link set dev eth0 up
ip address replace {address} dev eth0
ip route replace default via {gateway}
echo nameserver {gateway} > /etc/resolv.conf
export DEBIAN_FRONTEND=noninteractive
apt-get --quiet update
apt-get --quiet --yes --no-install-recommends install {packages}
mkdir -p /etc/systemd/system/plex-boot.service.d /etc/systemd/networkd.conf.d /etc/cloud/cloud.cfg.d
rm -f /etc/systemd/system/systemd-networkd.service /etc/systemd/system/systemd-networkd.socket
systemctl enable systemd-networkd.service
grep -q iso9660 /proc/filesystems || {{
    printf '#!/bin/sh\\nexec fuseiso "$1" "$2"\\n' > /sbin/mount.iso9660
    chmod 755 /sbin/mount.iso9660
}}
ip route flush dev eth0
ip address flush dev eth0
rm -f /etc/hostname /etc/hosts /etc/resolv.conf
"""


@dataclass(frozen=True)
class Machine:
    """The container, and what its node is to have."""

    incus: IncusHost
    boot: bytes
    node: str
    address: str

    def run(self, *argv: str, timeout: float = 60) -> str:
        done = self.incus.execute(NAME, argv, timeout=timeout)
        assert done.code == 0, done
        return done.stdout

    def prepare(self, gateway: str) -> None:
        """Have what an image for VMs has, and nothing of the network that it was fetched by."""
        script = _PREPARE.format(address=self.address, gateway=gateway, packages=" ".join(PACKAGES))
        self.run("/bin/sh", "-c", script, timeout=600)

    def boot_again(self) -> None:
        self.incus.stop(NAME)
        self.start()

    def start(self) -> None:
        self.incus.start(NAME)
        eventually("systemd runs", lambda: self._up())
        self.incus.execute(NAME, ("cloud-init", "status", "--wait"), timeout=180)
        status = self.run("cat", "/run/cloud-init/status.json")
        log = "grep -E 'WARN|Error' -A6 /var/log/cloud-init.log | tail -n 60"
        assert '"errors": []' in status and "Error" not in status, status + self.run(
            "/bin/sh", "-c", log
        )

    def _up(self) -> bool:
        return self.incus.execute(NAME, ("systemctl", "is-active", "dbus.socket")).code == 0
