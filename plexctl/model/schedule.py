"""The backups that masters of a plex write by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket of a server that speaks S3. Its keys are stored with `plexctl backups key`."""

    endpoint: str  # https://host, or https://host:port
    region: str
    bucket: str
    prefix: str  # "", or one that ends with "/"
    ca: str | None  # a file of the lab; None: the public authorities


@dataclass(frozen=True, slots=True)
class Schedule:
    """When masters save etcd by themselves, and where to."""

    every: int  # seconds
    keep: int  # backups
    to: str | S3Place  # a folder of the masters, on a volume of their host, or a bucket
