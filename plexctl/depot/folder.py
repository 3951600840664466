"""The source `dir`: a folder of artifacts on this machine.

SHA256SUMS                          as sha256sum writes it, with paths below the folder
<component>/VERSION                 the version of the component: 1.36.3
<component>/<artifact>              kubernetes/kubeadm, images/etcd.tar, …
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from plexctl.clients.web import mismatch
from plexctl.depot.blobs import sha256_of
from plexctl.depot.components import Component
from plexctl.depot.sources import Answers, NewArtifact, Offer, Refusal, SourceName
from plexctl.errors import PlexError
from plexctl.model.events import Reporter

SUMS = "SHA256SUMS"
VERSION = "VERSION"


class FolderSource:
    name = SourceName.DIR

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        for component in wanted:
            yield self._serve(component, work / component.name)

    def _serve(self, component: Component, work: Path) -> Offer | Refusal:
        if self.folder is None:
            return Refusal(component, "no folder of artifacts is configured")
        if not (self.folder / component.name).is_dir():
            return Refusal(component, f"{self.folder} has no {component.name}")
        sums = _sums(self.folder / SUMS)
        absent = [
            name
            for name in (VERSION, *component.artifacts)
            if not (self.folder / component.name / name).is_file()
        ]
        if missing := [name for name in absent if name not in component.unbuildable]:
            return Refusal(component, f"{self.folder / component.name} lacks {', '.join(missing)}")
        work.mkdir()
        version = self._copy(component.name, VERSION, sums, work).read_text().strip()
        if version not in component.versions:
            return Refusal(
                component,
                f"{self.folder} has {component.name} {version},"
                f" not {' or '.join(component.versions)}",
            )
        artifacts = (
            NewArtifact(
                name,
                version,
                self._copy(component.name, name, sums, work),
                0o644 if component.images else 0o755,
            )
            for name in component.artifacts
            if name not in absent
        )
        return Offer(component, version, tuple(artifacts))

    def _copy(self, component: str, name: str, sums: Mapping[str, str], work: Path) -> Path:
        assert self.folder is not None
        relative = f"{component}/{name}"
        if relative not in sums:
            raise PlexError(f"{self.folder / SUMS} has no checksum of {relative}")
        copy = work / name
        shutil.copyfile(self.folder / relative, copy)
        found = sha256_of(copy)
        if found != sums[relative]:
            raise mismatch(relative, sums[relative], found, str(self.folder / relative))
        return copy


def _sums(file: Path) -> dict[str, str]:
    try:
        lines = [line.split(maxsplit=1) for line in file.read_text().splitlines() if line.strip()]
        return {path.lstrip("*").removeprefix("./"): digest for digest, path in lines}
    except (OSError, ValueError) as error:
        raise PlexError(f"{file} cannot be read: {error}") from error
