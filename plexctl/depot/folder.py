"""The source `dir`: a folder of artifacts on this machine.

SHA256SUMS                          as sha256sum writes it, with paths below the folder
<component>/VERSION                 the version of the component: 1.36.3
<component>/<artifact>              kubernetes/kubeadm, images/etcd.tar, …
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from plexctl.clients.mismatch import mismatch
from plexctl.depot.archive import image_digest
from plexctl.depot.blobs import sha256_of
from plexctl.depot.components import Component, SourceName
from plexctl.depot.lock import Lock
from plexctl.depot.sources import Answers, NewArtifact, Offer, Refusal
from plexctl.errors import PlexError
from plexctl.model.events import Reporter

_OWN_PINS = (
    "for programs that were built elsewhere, pin their checksums in pins/pins.yaml of the lab"
)
SUMS = "SHA256SUMS"
VERSION = "VERSION"


class FolderSource:
    name = SourceName.DIR

    def __init__(self, folder: Path | None, lock: Lock) -> None:
        self.folder = folder
        self._lock = lock

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        for component in wanted:
            yield self._serve(component, work / component.name)

    def _serve(self, component: Component, work: Path) -> Offer | Refusal:
        if self.folder is None:
            return Refusal(component, "no folder of artifacts is configured")
        if not (self.folder / component.name).is_dir():
            return Refusal(component, f"{self.folder} has no {component.name}")
        digests = sums(self.folder / SUMS)
        absent = [
            name
            for name in (VERSION, *component.artifacts)
            if not (self.folder / component.name / name).is_file()
        ]
        if missing := [name for name in absent if name not in component.unbuildable]:
            return Refusal(component, f"{self.folder / component.name} lacks {', '.join(missing)}")
        work.mkdir()
        version = self._copy(component.name, VERSION, digests, work).read_text().strip()
        if version not in component.versions:
            return Refusal(
                component,
                f"{self.folder} has {component.name} {version},"
                f" not {' or '.join(component.versions)}",
            )
        artifacts = tuple(
            NewArtifact(
                name,
                version,
                self._copy(component.name, name, digests, work),
                0o644 if component.images else 0o755,
            )
            for name in component.artifacts
            if name not in absent
        )
        locked: dict[str, str] = {}
        for one in artifacts:
            locked.update(self._checked(component, version, one))
        return Offer(component, version, artifacts, locked)

    def _checked(self, component: Component, version: str, one: NewArtifact) -> dict[str, str]:
        """Compare an artifact with the pins and with depot.lock; returns the digests to lock.

        The names in depot.lock are those of a download of the same artifact.
        """
        where = f"{self.folder}/{component.name}/{one.name}"
        if (image := component.images.get(one.name.removesuffix(".tar"))) is not None:
            found = {image.of(component.architecture): image_digest(one.file, where)}
        elif one.name in component.files:
            found = {component.files[one.name].url: sha256_of(one.file)}
        else:
            name, pinned = _download(component, version, one.name)
            found = {name: sha256_of(one.file)}
            if pinned is not None:
                if found[name] != pinned:
                    raise mismatch(f"{one.name} {version}", pinned, found[name], where, _OWN_PINS)
                return {}
        self._lock.check_all(found)
        return found

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


def _download(component: Component, version: str, artifact: str) -> tuple[str, str | None]:
    """The name of a program in depot.lock, and its digest if the pins have it.

    A program in an archive, or that was built elsewhere, has no digest in the pins.
    """
    arch, release = component.architecture, component.release
    for download in release.downloads if release and release.version == version else ():
        url = download.url.format(version=version, arch=arch)
        if download.artifact == artifact:
            return url, download.sha256.get(arch)
        if artifact in download.members:
            return f"{url} {download.members[artifact].format(arch=arch)}", None
    return f"{component.name} {version} {artifact}", None


def sums(file: Path) -> dict[str, str]:
    """Digest by path in a file of sha256sum. PlexError if it cannot be read."""
    try:
        lines = [line.split(maxsplit=1) for line in file.read_text().splitlines() if line.strip()]
        return {path.lstrip("*").removeprefix("./"): digest for digest, path in lines}
    except (OSError, ValueError) as error:
        raise PlexError(f"{file} cannot be read: {error}") from error
