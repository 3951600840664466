"""Packed charts: Helm fetches each once; afterwards its checksum must stay the same."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from plexctl.clients import helm
from plexctl.clients.mismatch import mismatch
from plexctl.depot.blobs import sha256_of
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.model.events import Outcome, Reporter


@dataclass(frozen=True, slots=True)
class Charts:
    """A folder of packed charts by checksum. The first fetch writes the checksum to the lab's lock.

    `helm` is the program.
    """

    folder: Path
    helm: Path
    lock: Lock

    def fetch(self, chart: Chart, reporter: Reporter) -> Path:
        """The packed chart. PlexError, and nothing is kept, if its bytes differ from the lock."""
        known = self.lock.read().get(str(chart))
        with reporter.step(f"fetch chart {chart.name} {chart.version}") as step:
            if known and (there := self._path(chart, known)).exists() and sha256_of(there) == known:
                step.end(Outcome.UNCHANGED, "verified")
                return there
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.folder) as work:
                    file = helm.pull(self.helm, chart, Path(work))
                    found = sha256_of(file)
                    if known and found != known:
                        where = f"locked in {self.lock.path}"
                        raise mismatch(f"chart {chart}", known, found, where)
                    path = self._path(chart, found)
                    path.parent.mkdir(exist_ok=True)
                    file.replace(path)
            except OSError as error:
                raise PlexError(f"cannot write into {self.folder}: {error.strerror}") from error
            self.lock.keep({str(chart): found})
            step.end(Outcome.CHANGED, f"sha256:{found[:12]}")
        return path

    def _path(self, chart: Chart, digest: str) -> Path:
        return self.folder / digest / f"{chart.name}-{chart.version}.tgz"
