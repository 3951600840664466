"""Charts: fetched once, and the same bytes ever after."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from plexctl.depot.charts import Charts
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.model.events import Outcome
from tests.unit.depot.support import Recorder, files_in, sha

TINY = Chart("tiny", "1.2.3", "https://charts.example.test")
HELM = """\
#!/bin/sh
echo "$@" >>"{log}"
while [ "${{1#--destination=}}" = "$1" ]; do shift; done
[ -s "{served}" ] || {{ echo "Error: chart tiny not found" >&2; exit 1; }}
cp "{served}" "${{1#--destination=}}/tiny-1.2.3.tgz"
"""
"""Stands for the program: serves one file, and writes down what it was asked."""


def chart() -> bytes:
    """A chart with one template, packed as `helm package` does it."""
    files = {
        "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.2.3\n",
        "values.yaml": "greeting: nobody\n",
        "templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
        "  name: {{ .Release.Name }}\ndata: {greeting: {{ .Values.greeting | quote }}}\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"tiny/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


CHART = chart()


@pytest.fixture
def served(tmp_path: Path) -> Path:
    file = tmp_path / "served"
    file.write_bytes(CHART)
    return file


@pytest.fixture
def charts(tmp_path: Path, served: Path) -> Charts:
    helm = tmp_path / "helm"
    helm.write_text(HELM.format(log=tmp_path / "log", served=served))
    helm.chmod(0o755)
    return Charts(tmp_path / "charts", helm, Lock(tmp_path / "depot.lock"))


def test_a_chart_is_fetched_once(charts: Charts, served: Path, reporter: Recorder) -> None:
    file = charts.fetch(TINY, reporter)
    assert file.read_bytes() == CHART
    served.unlink()

    assert charts.fetch(TINY, reporter) == file
    assert [outcome for _, outcome, _ in reporter.ends] == [Outcome.CHANGED, Outcome.UNCHANGED]
    assert charts.lock.read() == {"https://charts.example.test/tiny:1.2.3": sha(CHART)}


def test_bytes_that_differ_from_the_lock_are_refused(
    charts: Charts, served: Path, reporter: Recorder
) -> None:
    charts.fetch(TINY, reporter).unlink()
    served.write_bytes(b"another")

    with pytest.raises(PlexError, match=r"tiny:1\.2\.3: the checksum does not match"):
        charts.fetch(TINY, reporter)
    assert files_in(charts.folder) == set()


def test_a_damaged_copy_is_fetched_again(charts: Charts, reporter: Recorder) -> None:
    charts.fetch(TINY, reporter).write_bytes(b"damaged")

    assert charts.fetch(TINY, reporter).read_bytes() == CHART


def test_a_missing_chart_is_an_error(charts: Charts, served: Path, reporter: Recorder) -> None:
    served.unlink()
    with pytest.raises(PlexError, match="cannot fetch the chart") as caught:
        charts.fetch(TINY, reporter)
    assert "not found" in caught.value.details[0]
    assert charts.lock.read() == {}


@pytest.mark.parametrize(
    ("repository", "option", "name"),
    [
        ("https://charts.example.test", "--repo=https://charts.example.test ", "tiny"),
        ("oci://ghcr.example.test/charts", "", "oci://ghcr.example.test/charts/tiny"),
    ],
)
def test_helm_pulls_the_exact_version(
    charts: Charts, reporter: Recorder, repository: str, option: str, name: str
) -> None:
    charts.fetch(Chart("tiny", "1.2.3", repository), reporter)

    line = (charts.folder.parent / "log").read_text().strip()
    assert line.startswith(f"pull {option}--version=1.2.3 --destination=")
    assert line.endswith(f" -- {name}")


@pytest.mark.parametrize("version", ["latest", "1.x", "~1.2.0", ">=1.2.3", "1.2", "*", ""])
def test_a_range_is_not_a_version(version: str) -> None:
    assert not Chart("tiny", version, "https://a.test").exact


@pytest.mark.parametrize("version", ["1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+build.5"])
def test_an_exact_version_is_accepted(version: str) -> None:
    assert Chart("tiny", version, "https://a.test").exact
