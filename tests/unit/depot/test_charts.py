"""Charts: which are taken, where they come from, and what makes them wrong."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from plexctl.clients.web import Web, WebError
from plexctl.depot.charts import ChartPin, Charts, load_charts
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from tests.unit.depot.support import Server, Told, files_in, sha

URL = "https://github.com/tiny-{version}.tgz"
PATH = "/github.com/tiny-1.2.3.tgz"


def chart() -> bytes:
    """A chart with one template, packed as `helm package` does it."""
    files = {
        "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 1.2.3\n",
        "values.yaml": "greeting: nobody\n",
        "templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
        "  name: {{ .Release.Name }}\ndata: {greeting: {{ .Values.greeting }}}\n",
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
def charts(server: Server, tmp_path: Path) -> Charts:
    server.pages = {PATH: CHART}
    sources = server.sources()
    return Charts(
        tmp_path / "charts", Web(sources.rewrites, sources.ca), Lock(tmp_path / "depot.lock")
    )


def test_a_chart_is_fetched_once(charts: Charts, server: Server, told: Told) -> None:
    pin = ChartPin("tiny", "1.2.3", URL, sha(CHART))
    file = charts.fetch(pin, told)
    assert file.read_bytes() == CHART
    server.pages = {}

    assert charts.fetch(pin, told) == file
    assert [outcome for _, outcome, _ in told.ends] == [Outcome.CHANGED, Outcome.UNCHANGED]
    assert charts.lock.read() == {}  # the pin knows it


def test_without_a_checksum_the_first_one_is_locked(
    charts: Charts, server: Server, told: Told
) -> None:
    pin = ChartPin("tiny", "1.2.3", URL)
    charts.fetch(pin, told).unlink()
    assert charts.lock.read() == {"https://github.com/tiny-1.2.3.tgz": sha(CHART)}
    server.pages = {PATH: b"another"}

    with pytest.raises(PlexError, match=r"tiny 1\.2\.3: the checksum does not match"):
        charts.fetch(pin, told)
    assert not {name for name in files_in(charts.folder) if "chart" in name}


def test_other_bytes_than_those_pinned_are_refused(charts: Charts, told: Told) -> None:
    with pytest.raises(PlexError, match="the checksum does not match"):
        charts.fetch(ChartPin("tiny", "1.2.3", URL, "0" * 64), told)
    assert files_in(charts.folder) == set()


def test_a_damaged_copy_is_fetched_anew(charts: Charts, told: Told) -> None:
    pin = ChartPin("tiny", "1.2.3", URL, sha(CHART))
    charts.fetch(pin, told).write_bytes(b"damaged")

    assert charts.fetch(pin, told).read_bytes() == CHART


def test_a_chart_that_is_not_there_is_said(charts: Charts, told: Told) -> None:
    with pytest.raises(WebError, match="404"):
        charts.fetch(ChartPin("tiny", "1.2.4", URL), told)


@pytest.mark.parametrize("version", ["latest", "1.x", "~1.2.0", ">=1.2.3", "1.2", "*", ""])
def test_a_version_that_is_not_exact_is_refused(version: str) -> None:
    with pytest.raises(PlexError, match="not exact"):
        ChartPin("tiny", version, URL)


@pytest.mark.parametrize("version", ["1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+build.5"])
def test_an_exact_one_is_not(version: str) -> None:
    assert version in ChartPin("tiny", version, URL).address


@pytest.mark.parametrize(
    "url", ["http://a.org/{version}", "oci://a.org/{version}", "https://a.org"]
)
def test_an_address_that_pins_nothing_is_refused(url: str) -> None:
    with pytest.raises(PlexError, match="cannot be had from"):
        ChartPin("tiny", "1.2.3", url)


def test_a_labs_charts_lie_over_the_built_in_ones(tmp_path: Path) -> None:
    builtin = load_charts(tmp_path)
    (tmp_path / "charts.yaml").write_text(f"tiny: {{version: 1.10.0, url: '{URL}'}}\n")

    assert load_charts(tmp_path) == {**builtin, "tiny": ChartPin("tiny", "1.10.0", URL)}
    (tmp_path / "charts.yaml").write_text("tiny: {version: 1.10.0, ulr: x}\n")
    with pytest.raises(PlexError, match="cannot be read") as caught:
        load_charts(tmp_path)
    assert "ulr" in caught.value.details[0]
