"""Steps that only the image of a VM needs: its disk, its agent, its first boot."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import yaml

from plexctl.bake.base import CREATED, BakeNetwork
from plexctl.clients import process
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.web import Web
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Step
from plexctl.model.settings import SEED
from plexctl.model.types import Base, BaseSource
from plexctl.plan.boot.seed import seed_iso
from plexctl.plan.resources.incus import seed_volume
from plexctl.plan.resources.profile import NIC
from plexctl.plan.resources.proxmox import CORES, MEMORY

BOOT = 600
"""Seconds in which a VM and its agent must be up."""

LIMITS = {"limits.cpu": str(CORES), "limits.memory": str(MEMORY)}
"""Limits of the VM that an image is baked in."""

_INSTALL_AGENT = """\
set -eu
mkdir -p /run/plexctl/agent
mount -o ro /dev/disk/by-label/incus-agent /run/plexctl/agent
cd /run/plexctl/agent
./install.sh
cd /
umount /run/plexctl/agent
systemctl start incus-agent.service
"""


def cloud_image(
    incus: IncusHost, base: Base, properties: dict[str, str], work: Path, disks: Path, step: Step
) -> str:
    """Create an image of the disk of a cloud image; returns its fingerprint.

    It is downloaded once, into the folder `disks`; `work` is an empty folder. PlexError if the
    download fails, or if the checksum does not match.
    """
    assert base.url is not None
    assert base.checksum is not None
    disk = fetched(Web(), base.url, base.checksum, disks, step)
    return incus.images.upload(packed(disk, base.name, properties, work))


def fetched(web: Web, url: str, checksum: str, folder: Path, step: Step) -> Path:
    """The file at `url`, downloaded into `folder` unless it is there.

    `checksum` is "sha512:" or "sha256:" with hex digits. A file that does not match is not kept.
    """
    algorithm, _, expected = checksum.partition(":")
    expected = expected.lower()
    target = folder / f"{expected[:64]}.qcow2"
    if target.exists() and _digest(target, algorithm) == expected:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    name = url.rsplit("/", 1)[1]
    partial = folder / f"{target.name}.{os.getpid()}"
    try:
        web.download(url, partial, lambda done: step.progress(f"download {name}", done))
        found = _digest(partial, algorithm)
        if found != expected:
            raise PlexError(
                f"{name}: the checksum does not match",
                details=(f"from      {url}", f"expected  {expected}", f"found     {found}"),
                hint="images at a URL with `latest` change: use a dated URL in "
                "types/bases.yaml, with its checksum",
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def packed(disk: Path, name: str, properties: dict[str, str], work: Path) -> Path:
    """An image in Incus' format: a tar of its metadata and its disk."""
    metadata = {
        "architecture": os.uname().machine,
        "creation_date": CREATED,
        "properties": properties,
    }
    (work / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    (work / "rootfs.img").symlink_to(disk)
    archive = work / f"{name}.tar"
    members = ("metadata.yaml", "rootfs.img")
    process.run(
        ("tar", "--create", "--dereference", "--file", archive, "--directory", work, *members),
        timeout=600,
    )
    return archive


def bake_devices(base: Base, name: str, pool: str) -> dict[str, dict[str, str]]:
    """Further devices of the VM that the lowest layer is baked in: the seed of a cloud image."""
    if base.source is not BaseSource.CLOUD:
        return {}
    return {SEED: {"type": "disk", "pool": pool, "source": seed_volume(name)}}


def bake_seed(network: BakeNetwork) -> bytes:
    """The seed of a cloud image that is baked: its way to the package mirrors, and the agent."""
    user_data = {
        "runcmd": [["/bin/sh", "-c", _INSTALL_AGENT]],
        "ssh_deletekeys": False,
        "ssh_genkeytypes": [],
        "users": [],
    }
    gateway = str(network.gateway.ip)
    link = {
        "match": {"macaddress": network.mac},
        "set-name": NIC,
        "addresses": [str(network.address)],
        "routes": [{"to": "0.0.0.0/0", "via": gateway}],
        "nameservers": {"addresses": [gateway]},
    }
    return seed_iso(
        b"",
        "#cloud-config\n" + yaml.safe_dump(user_data),
        yaml.safe_dump({"version": 2, "ethernets": {NIC: link}}),
        yaml.safe_dump({"instance-id": "plex-bake"}),
    )


def await_agent(incus: IncusHost, name: str) -> None:
    """Wait until programs can be run in a VM that was started, and its disks are mounted."""

    def answers() -> Observation:
        try:
            done = incus.execute(name, ("test", "-d", "/run/systemd/system"), timeout=10)
        except PlexError as error:
            return Observation(False, error.summary)
        return Observation(done.code == 0, done.stderr)

    wait(Condition(f"the agent of {name} answers", answers, deadline=BOOT, every=1))


def await_boot(incus: IncusHost, name: str) -> None:
    """Wait until all units of a VM have started: cloud-init changes its files until then.

    A unit that has failed does not matter to a bake.
    """
    argv = ("systemctl", "is-system-running", "--wait")
    incus.execute(name, argv, timeout=BOOT)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
