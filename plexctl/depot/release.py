"""The source `release`: downloads from the projects over HTTPS, with pinned or locked digests."""

from __future__ import annotations

import functools
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from plexctl.clients.mismatch import mismatch
from plexctl.clients.registry.oci import OciRegistry, Reference
from plexctl.clients.web import Progress, Web, WebError
from plexctl.depot.archive import BROKEN_ARCHIVE, Blob, blob, write_oci
from plexctl.depot.components import Component, Download, FilePin, ImagePin, SourceName
from plexctl.depot.lock import Lock
from plexctl.depot.sources import Answers, NewArtifact, Offer, Refusal
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter, Step

TRANSFERS = 4
"""The number of files that are downloaded at the same time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ReleaseSource:
    """Downloads programs and pulls images. Digests that no pin has are checked against `lock`."""

    name = SourceName.RELEASE

    def __init__(self, web: Web, lock: Lock) -> None:
        self._web = web
        self._registry = OciRegistry(web)
        self._lock = lock
        self._not_answering: dict[str, str | None] = {}  # by host: the reason

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        for component in wanted:
            if component.release is None and not component.images:
                yield Refusal(component, "its pin has no release: it can only be built")
                continue
            if reason := self._unreachable(_first_url(component)):
                yield Refusal(component, reason)
                continue
            folder = work / component.name
            folder.mkdir()
            yield self._answer(component, folder, reporter)

    def _answer(self, component: Component, work: Path, reporter: Reporter) -> Offer | Refusal:
        try:
            if component.images:
                return self._images(component, work, reporter)
            return self._programs(component, work, reporter)
        except WebError as error:
            return Refusal(component, error.summary, error.details, error.hint)

    def _unreachable(self, url: str) -> str | None:
        host = urlsplit(url).netloc
        if host not in self._not_answering:
            self._not_answering[host] = self._web.unreachable(url)
        return self._not_answering[host]

    def _programs(self, component: Component, work: Path, reporter: Reporter) -> Offer:
        pin = component.release
        assert pin is not None
        version, arch = pin.version, component.architecture
        locked: dict[str, str] = {}

        def fetch(download: Download, progress: Progress) -> dict[str, Path]:
            url = download.url.format(version=version, arch=arch)
            file = work / f"download-{url.rpartition('/')[2]}"
            found = self._web.download(url, file, progress)
            # Pins with checksums of other architectures alone are refused when they are read.
            expected = download.sha256[arch] if download.sha256 else None
            if expected is None:
                self._lock.check(url, found)
                locked[url] = found
            elif expected != found:
                raise mismatch(f"{url.rpartition('/')[2]} {version}", expected, found, url)
            return unpacked(download, file, work, arch)

        with reporter.step(f"download {component.name} {version}") as step:
            files: dict[str, Path] = {}
            for some in _at_once(fetch, pin.downloads, step):
                files |= some
            step.end(Outcome.CHANGED, f"{len(files)} programs")
        artifacts = (NewArtifact(name, version, files[name], 0o755) for name in component.artifacts)
        return Offer(component, version, tuple(artifacts), locked)

    def _images(self, component: Component, work: Path, reporter: Reporter) -> Offer:
        locked: dict[str, str] = {}

        def pull(named: tuple[str, ImagePin], progress: Progress) -> NewArtifact:
            name, image = named
            target = work / f"{name}.tar"
            locked.update(self._image(image, component, target, progress))
            return NewArtifact(target.name, image.tag, target, 0o644)

        with reporter.step("pull the container images") as step:
            artifacts = _at_once(pull, tuple(component.images.items()), step)
            step.end(Outcome.CHANGED, f"{len(artifacts)} images")
        artifacts += tuple(self._file(*named, work, locked) for named in component.files.items())
        return Offer(component, component.versions[0], artifacts, locked)

    def _file(self, name: str, pin: FilePin, work: Path, locked: dict[str, str]) -> NewArtifact:
        found = self._web.download(pin.url, work / name)
        self._lock.check(pin.url, found)
        locked[pin.url] = found
        version = next(part for part in pin.url.split("/") if re.fullmatch(r"v\d[\w.-]*", part))
        return NewArtifact(name, version, work / name, 0o644)

    def _image(
        self, image: ImagePin, component: Component, target: Path, progress: Progress
    ) -> dict[str, str]:
        """Pull an image and write it as an OCI archive.

        Returns what is locked: the digest that the tag names, of an index of all architectures or
        of a manifest, and the digest of the manifest for this architecture.
        """
        reference = image.reference
        folder = target.with_suffix(".blobs")
        folder.mkdir()
        pulled = self._registry.pull(
            Reference.parse(reference),
            component.architecture,
            folder,
            accept=lambda digest: self._lock.check(reference, digest),
            progress=progress,
        )
        manifest = blob(pulled.manifest_type, pulled.manifest)
        blobs = [Blob(one.media_type, one.digest, one.size, one.file) for one in pulled.blobs]
        write_oci(target, reference, component.architecture, manifest, blobs)
        shutil.rmtree(folder)
        mine = {image.of(component.architecture): manifest.digest}
        self._lock.check_all(mine)
        return {reference: pulled.digest, **mine}


def _at_once(
    work: Callable[[_Item, Progress], _Result], items: Sequence[_Item], step: Step
) -> tuple[_Result, ...]:
    """Do `work` for all items, TRANSFERS at a time; `step` reports the progress of all together.

    After a failure the others end at their next report of progress.
    """
    shares = [0.0] * len(items)
    stop = threading.Event()

    def report(index: int, share: float) -> None:
        if stop.is_set():
            raise PlexError("stopped")
        shares[index] = share
        finished = sum(share >= 1 for share in shares)
        step.progress(f"{finished} of {len(items)}", sum(shares) / len(items))

    with ThreadPoolExecutor(TRANSFERS) as pool:
        futures = [
            pool.submit(work, item, functools.partial(report, index))
            for index, item in enumerate(items)
        ]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    for future in done:  # raises the first failure, before those of stopped items
        future.result()
    return tuple(future.result() for future in futures)


def _first_url(component: Component) -> str:
    """The first URL of a component, to find out whether its server answers."""
    if component.release:
        url = component.release.downloads[0].url
        return url.format(version=component.release.version, arch=component.architecture)
    return f"https://{next(iter(component.images.values())).reference.partition('/')[0]}/v2/"


def unpacked(download: Download, file: Path, work: Path, arch: str) -> dict[str, Path]:
    """The artifacts of a verified download, by name."""
    if download.artifact:
        return {download.artifact: file.rename(work / download.artifact)}
    try:
        return _members(download, file, work, arch)
    except BROKEN_ARCHIVE as error:
        raise PlexError(f"{download.url} is not a tar archive", details=[str(error)]) from error


def _members(download: Download, file: Path, work: Path, arch: str) -> dict[str, Path]:
    files = {}
    with tarfile.open(file) as archive:
        members = {member.name.removeprefix("./"): member for member in archive}
        for name, pattern in download.members.items():
            path = pattern.format(arch=arch)
            content = archive.extractfile(members[path]) if path in members else None
            if content is None:
                raise PlexError(f"the archive {download.url} has no file {path}")
            files[name] = work / name
            with files[name].open("wb") as target:
                shutil.copyfileobj(content, target)
    file.unlink()
    return files
