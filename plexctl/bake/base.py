"""Fetch the root file system of a base, as an Incus image without a name."""

from __future__ import annotations

import os
import platform
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import yaml

from plexctl.clients import process
from plexctl.clients.environment import NETWORK, environment
from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.events import Step
from plexctl.model.host_spec import HostSpec
from plexctl.model.lab_id import short
from plexctl.model.settings import settings
from plexctl.model.types import Base, BaseSource, Form
from plexctl.plan.resources.profile import NIC

DEFAULT_MIRROR = "https://deb.debian.org/debian"
SHARED_BRIDGE = "plexctl-bake"
"""The bridge of bakes on hosts where labs are confined to projects: they cannot create one."""

DEADLINE = 1800
"""Seconds in which the packages of a base must be installed."""

CREATED = 1767225600
"""2026-01-01T00:00:00Z; Incus requires a date in an image's metadata."""


def root_image(
    incus: IncusHost, base: Base, properties: dict[str, str], work: Path, step: Step
) -> str:
    """Create an image of the root file system of `base`; returns the image's fingerprint.

    `work` is an empty folder on a disk. PlexError if it fails.
    """
    if base.source is BaseSource.IMAGES:
        assert base.server is not None
        assert base.image is not None
        return incus.images.download(base.server, base.image, properties, base.form)
    _debootstrap(base, work / "rootfs", step)
    metadata = {
        "architecture": platform.machine(),
        "creation_date": CREATED,
        "properties": properties,
    }
    (work / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    archive = work / f"{base.name}.tar"
    keep = ("--numeric-owner", "--xattrs", "--xattrs-include=*")
    process.run(
        (
            "tar",
            "--create",
            *keep,
            "--file",
            archive,
            "--directory",
            work,
            "metadata.yaml",
            "rootfs",
        ),
        timeout=300,
    )
    return incus.images.upload(archive)


def needs_network(base: Base) -> bool:
    """Whether its root image lacks packages, which `install_packages` installs."""
    return base.source is not BaseSource.DEBOOTSTRAP


@dataclass(frozen=True, slots=True)
class BakeNetwork:
    """The network to the package mirrors: its bridge, and the addresses there.

    Its numbers are reserved for benchmarks (RFC 2544): real networks do not use them.
    """

    bridge: str
    gateway: IPv4Interface
    address: IPv4Interface  # of the instance in which packages are installed
    mac: str  # of the same

    @property
    def config(self) -> dict[str, str]:
        """Config keys of the bridge."""
        return {
            "ipv4.address": str(self.gateway),
            "ipv4.nat": "true",
            "ipv4.dhcp": "false",
            "ipv6.address": "none",
        }


def bake_network(host: HostSpec, lab: str) -> BakeNetwork:
    """The network of a bake of `lab` on `host`. Linux allows 15 characters in its name."""
    if host.confined:
        gateway = IPv4Interface("198.19.0.1/16")
        number = 2 + int(short(lab), 16) % 65_000  # labs bake at the same time on this bridge
        address = IPv4Interface((gateway.network[number], 16))
        mac = f"10:66:6a:01:{number >> 8:02x}:{number & 255:02x}"
        return BakeNetwork(SHARED_BRIDGE, gateway, address, mac)
    gateway, address = IPv4Interface("198.18.0.1/24"), IPv4Interface("198.18.0.2/24")
    return BakeNetwork(f"bake-{short(lab)}", gateway, address, "10:66:6a:00:00:01")


def create_bridge(incus: IncusHost, network: BakeNetwork, tags: dict[str, str]) -> None:
    """Create the bridge of a bake, unless it is an administrator's."""
    if not incus.spec.confined:
        incus.networks.put(network.bridge, settings(network.config | tags), exists=False)


def install_packages(incus: IncusHost, instance: str, base: Base, network: BakeNetwork) -> None:
    """Install the packages that debootstrap would have installed on a base of an image server.

    A VM also gets cloud-init, which writes its files.
    """
    more = ("cloud-init",) if base.form is Form.VM else ()
    gateway = network.gateway.ip
    script = _INSTALL.format(nic=NIC, address=network.address, gateway=gateway)
    script += " ".join((*base.packages, *more))
    done = incus.execute(instance, ("/bin/sh", "-c", script), timeout=DEADLINE)
    if done.code != 0:
        raise PlexError(
            f"cannot install the packages of base {base.name}",
            details=done.stderr.splitlines()[-process.LAST_LINES :],
            hint="check that containers of this host reach the package mirror",
        )


_INSTALL = """\
set -eu
# A VM of an image server has another name for its NIC.
nic={nic}
[ -e /sys/class/net/$nic ] || nic=$(ls /sys/class/net | grep --max-count=1 '^en')
ip link set dev $nic up
ip address replace {address} dev $nic
ip route replace default via {gateway}
rm -f /etc/resolv.conf
echo nameserver {gateway} > /etc/resolv.conf
export DEBIAN_FRONTEND=noninteractive
apt-get --quiet update
apt-get --quiet --yes --no-install-recommends install """


def _debootstrap(base: Base, target: Path, step: Step) -> None:
    if os.geteuid() != 0:
        raise PlexError(
            f"base {base.name}: debootstrap needs root",
            hint="run this once with sudo, or give the base `source: images` in types/bases.yaml",
        )
    # In namespaces of its own, which end with this process: neither a mount nor a process of it
    # remains, whatever happens. The time limit ends it when a mirror stops answering.
    ends_with_parent = ("setpriv", "--pdeathsig=KILL")
    alone = (
        *ends_with_parent,
        *("timeout", "--kill-after=10", str(DEADLINE)),
        *ends_with_parent,
        *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
    )
    options = ("--variant=minbase", "--force-check-gpg", f"--include={','.join(base.packages)}")
    mirror = base.mirror or machine_mirror(base.release) or DEFAULT_MIRROR
    last: deque[str] = deque(maxlen=process.LAST_LINES)

    def on_line(line: str) -> None:
        last.append(line)
        step.progress(line.removeprefix("I: "))

    argv = (*alone, "debootstrap", *options, base.release, target, mirror)
    if process.stream(argv, on_line, env=environment(NETWORK)) != 0:
        raise PlexError(
            f"base {base.name}: debootstrap from {mirror} failed",
            details=last,
            hint="check that debootstrap and debian-archive-keyring are installed, and that the "
            "mirror is reachable",
        )


def machine_mirror(release: str, apt: Path = Path("/etc/apt")) -> str | None:
    """The package mirror in this machine's APT sources for `release`; None if there is none."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        read = _deb822 if file.suffix == ".sources" else _one_line
        for uri, suites in read(file.read_text()):
            if release in suites and re.match(r"https?://", uri):
                return uri
    return None


def _deb822(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(URI, suites) of each stanza of packages."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = (line for line in stanza.splitlines() if not line.startswith("#"))
        fields = {key.lower(): v.split() for key, _, v in (line.partition(":") for line in lines)}
        if "deb" in fields.get("types", ()):
            for uri in fields.get("uris", ()):
                yield uri, tuple(fields.get("suites", ()))


def _one_line(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
        if match:
            yield match[1], (match[2],)
