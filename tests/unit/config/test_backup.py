"""The field `backup` of plex.yaml: read into the model, or refused with field and hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.model.schedule import S3Place, Schedule

from .labs import VERSIONS, lab, plex_faults


def schedule(tmp_path: Path, text: str) -> Schedule | None:
    return load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"].backup


def test_a_folder_and_a_bucket_are_read(tmp_path: Path) -> None:
    assert schedule(tmp_path / "a", "workers: 1\n") is None
    assert schedule(tmp_path / "b", "backup: {to: /srv/backups}\n") == Schedule(
        6 * 3600, 7, "/srv/backups"
    )
    assert schedule(
        tmp_path / "c",
        "backup: {every: 30min, keep: 3, to: 's3://lab-backups/a/b/', region: eu-1,"
        " endpoint: 'https://s3.lab.test:9000/'}\n",
    ) == Schedule(1800, 3, S3Place("https://s3.lab.test:9000", "eu-1", "lab-backups", "a/b/", None))
    assert schedule(tmp_path / "d", "backup: {every: 2d, to: 's3://lab-backups'}\n") == Schedule(
        2 * 86400,
        7,
        S3Place("https://s3.amazonaws.com", "us-east-1", "lab-backups", "", None),
    )


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("backup: {every: 6h}", "backup.to", "is required"),
        ("backup: {to: /etc}", "backup.to", "is no place for backups"),
        ("backup: {to: /srv/../etc}", "backup.to", "is no place for backups"),
        ("backup: {to: /srv}", "backup.to", "is no place for backups"),
        ("backup: {to: backups}", "backup.to", "is no place for backups"),
        ("backup: {to: 's3://B'}", "backup.to", "is no place for backups"),
        ("backup: {to: 's3://bucket/../x'}", "backup.to", "is no place for backups"),
        ("backup: {to: 's3://u:p@bucket'}", "backup.to", "is no place for backups"),
        ("backup: {to: /srv/b, every: 6}", "backup.every", "must be a time with a unit"),
        ("backup: {to: /srv/b, every: 1min}", "backup.every", "not between 5 minutes"),
        ("backup: {to: /srv/b, every: 91d}", "backup.every", "not between 5 minutes"),
        ("backup: {to: /srv/b, keep: 0}", "backup.keep", "1"),
        ("backup: {to: /srv/b, region: eu-1}", "backup.region", "applies to s3:// only"),
        ("backup: {to: 's3://bucket', ca: ca.pem}", "backup.ca", "there is no file"),
        ("backup: {to: 's3://bucket', endpoint: 's3.test'}", "backup.endpoint", "URL"),
        ("engine: tofu\nbackup: {to: /srv/b}", "backup", "needs `engine: direct`"),
        ("type: kubevm\nbackup: {to: /srv/b}", "backup.to", "a running VM gets no volume"),
        ("backup: true", "backup", ""),
    ],
)
def test_what_masters_cannot_do_is_refused(
    tmp_path: Path, text: str, field: str, message: str
) -> None:
    (found,) = plex_faults(tmp_path, f"{text}\n")

    assert f" {field}: " in found
    assert message in found
