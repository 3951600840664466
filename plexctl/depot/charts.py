"""Charts for Helm: pinned by version and checksum, fetched once, and verified at each use."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from plexctl.clients.web import Web, mismatch
from plexctl.depot.blobs import sha256_of
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter

CHARTS = "charts.yaml"
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, slots=True)
class ChartPin:
    """A packed chart of one version. Without a checksum, a lab's depot.lock keeps the first one."""

    name: str
    version: str
    url: str  # with {version}
    sha256: str = ""

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise PlexError(
                f"the chart {self.name} has the version {self.version!r}, which is not exact",
                hint="write one version, as in 1.2.3: the same files must give the same cluster",
            )
        if not self.url.startswith("https://") or "{version}" not in self.url:
            raise PlexError(
                f"the chart {self.name} cannot be had from {self.url!r}",
                hint="write the https:// address of the packed chart, {version} where it has that",
            )
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise PlexError(f"the chart {self.name} has a checksum that is no SHA-256 in hex")

    @property
    def address(self) -> str:
        return self.url.format(version=self.version)


def load_charts(over: Path | None = None) -> Mapping[str, ChartPin]:
    """The built-in pins of charts, with those of a lab's folder `over` laid over them by name."""
    folder: Traversable = files("plexctl") / "pins"
    pins = _read(folder / CHARTS)
    if over is not None and (over / CHARTS).exists():
        pins |= _read(over / CHARTS)
    return pins


def _read(file: Traversable) -> dict[str, ChartPin]:
    """Scalars stay text, so that no version turns into a number."""
    try:
        raw = yaml.load(file.read_text(), yaml.CBaseLoader) or {}  # noqa: S506 - only text
        return {name: ChartPin(name, **fields) for name, fields in raw.items()}
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise PlexError(f"the charts in {file} cannot be read", details=[repr(error)]) from error


@dataclass(frozen=True, slots=True)
class Charts:
    """A folder of packed charts by their checksum."""

    folder: Path
    web: Web
    lock: Lock

    def fetch(self, pin: ChartPin, reporter: Reporter) -> Path:
        """The packed chart, whose bytes are those of the pin or of the lock.

        PlexError if they are others; nothing of that is kept.
        """
        known = pin.sha256 or self.lock.read().get(pin.address)
        with reporter.step(f"chart {pin.name} {pin.version}") as step:
            if known and (there := self._path(pin, known)).exists() and sha256_of(there) == known:
                step.end(Outcome.UNCHANGED, "verified")
                return there
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.folder) as work:
                    file = Path(work) / "chart"
                    found = self.web.download(pin.address, file)
                    if known and found != known:
                        raise mismatch(f"chart {pin.name} {pin.version}", known, found, pin.address)
                    path = self._path(pin, found)
                    path.parent.mkdir(exist_ok=True)
                    file.replace(path)
            except OSError as error:
                raise PlexError(f"cannot write into {self.folder}: {error.strerror}") from error
            if not pin.sha256:
                self.lock.keep({pin.address: found})
            step.end(Outcome.CHANGED, f"sha256:{found[:12]}")
        return path

    def _path(self, pin: ChartPin, digest: str) -> Path:
        return self.folder / digest / f"{pin.name}-{pin.version}.tgz"
