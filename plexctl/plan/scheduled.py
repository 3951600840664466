"""The files with which a master saves etcd by itself. Pure.

They are no boot files: another schedule replaces no master. plexctl puts them on masters that run.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from plexctl.model.plex import Plex
from plexctl.model.schedule import S3Place, Schedule
from plexctl.model.secret import Secret
from plexctl.plan.boot.files import BootFile, private, text

PROGRAM = "/usr/local/lib/plexctl/backup"
CONFIG = "/etc/plexctl/backup.json"
UNIT = "plex-backup"
UNITS = "/etc/systemd/system"

SERVICE = f"""\
[Unit]
Description=Save etcd of this cluster

[Service]
Type=oneshot
ExecStart={PROGRAM} save {CONFIG}
"""
TIMER = """\
[Unit]
Description=Save etcd of this cluster from time to time

[Timer]
OnActiveSec=1min
OnUnitActiveSec={seconds}s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True, slots=True)
class S3Access:
    """What a bucket needs besides its place."""

    access_key: str  # its name; no secret
    secret_key: Secret
    ca: str = ""  # PEM


@dataclass(frozen=True, slots=True)
class BackupKeys:
    """Who may read and sign backups of a plex."""

    lab: str  # identifier
    recipient: str
    sign: Secret


def configuration(
    plex: Plex, schedule: Schedule, keys: BackupKeys, access: S3Access | None
) -> Secret:
    """The configuration of the program `backup`, as JSON."""
    content: dict[str, object] = {
        "version": 1,
        "plex": plex.name,
        "lab": keys.lab,
        "kubernetes": plex.kubernetes,
        "epoch": plex.epoch,
        "services": str(plex.networks.services),
        "domain": plex.domain,
        "keep": schedule.keep,
        "recipient": keys.recipient,
        "sign": base64.b64encode(keys.sign.reveal()).decode(),
    }
    if isinstance(schedule.to, S3Place):
        assert access is not None, plex.name
        content["s3"] = _s3(schedule.to, access)
    else:
        content["folder"] = schedule.to
    return Secret(json.dumps(content).encode())


def _s3(place: S3Place, access: S3Access) -> dict[str, object]:
    scheme, _, server = place.endpoint.partition("://")
    return {
        "endpoint": server,
        "plain": scheme == "http",
        "region": place.region,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "ca": access.ca,
        "accessKey": access.access_key,
        "secretKey": access.secret_key.reveal_text(),
    }


def scheduled_files(schedule: Schedule, config: Secret) -> tuple[BootFile, ...]:
    """The files of a master, without the program."""
    return (
        private(CONFIG, config.reveal()),
        text(f"{UNITS}/{UNIT}.service", SERVICE),
        text(f"{UNITS}/{UNIT}.timer", TIMER.format(seconds=schedule.every)),
    )
