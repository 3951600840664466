"""Charts fetched and rendered by the real Helm of the depot."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from platformdirs import user_cache_path

from plexctl.clients import helm
from plexctl.errors import PlexError
from tests.unit.depot.test_charts import CHART

from .support import CHECKOUT, Lab, stored_program

RELEASE = """\
apiVersion: v1
kind: Namespace
metadata: {{name: tiny}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: tiny, namespace: tiny}}
spec: {{interval: 24h, url: "{url}"}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: tiny, namespace: tiny}}
spec:
  interval: 1h
  chart: {{spec: {{chart: tiny, version: 1.2.3, sourceRef: {{kind: HelmRepository, name: tiny}}}}}}
  values: {{greeting: "hello from ${{PLEX_NAME}}"}}
"""
INDEX = """\
apiVersion: v1
entries:
  tiny:
    - {name: tiny, version: 1.2.3, apiVersion: v2, urls: [tiny-1.2.3.tgz]}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Helm out of the user's depot, which is filled with it."""
    return stored_program("helm", "helm", tmp_path_factory.mktemp("bin"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    file = tmp_path / "tiny-1.2.3.tgz"
    file.write_bytes(CHART)
    return file


def test_a_chart_is_rendered_with_its_values(
    program: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    made = helm.template(program, tiny, "hello", "here", {"greeting": "me"}, kubernetes="1.36.3")

    assert made == (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "hello"},
            "data": {"greeting": "me"},
        },
    )


def test_values_of_the_chart_are_the_defaults(program: Path, tiny: Path) -> None:
    (made,) = helm.template(program, tiny, "hello", "here", {})

    assert made["data"] == {"greeting": "nobody"}


def test_a_broken_chart_is_said(program: Path, tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 1.2.3\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "map.yaml").write_text("{{ fail `no such luck` }}\n")

    with pytest.raises(PlexError, match="cannot render the chart") as caught:
        helm.template(program, tmp_path, "hello", "here", {})
    assert "no such luck" in " ".join(caught.value.details)


@pytest.fixture
def repository(tmp_path: Path, tiny: Path) -> Iterator[str]:
    """Charts with an index, served on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    (tmp_path / "index.yaml").write_text(INDEX)
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_app_from_a_chart_becomes_plain_manifests(
    tmp_path_factory: pytest.TempPathFactory, repository: str, tiny: Path
) -> None:
    lab = Lab(tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home"))
    lab.run("init", "demo")
    app = lab.root / "apps" / "tiny"
    app.mkdir(parents=True)
    (app / "release.yaml").write_text(RELEASE.format(url=repository))

    shutil.copytree(CHECKOUT / "apps" / "kubeedge", lab.root / "apps" / "kubeedge")

    answer = lab.ask("render")
    assert [(row["app"], row["changed"]) for row in answer["apps"]] == [("tiny", True)]
    found = list(yaml.safe_load_all((app / "rendered" / "all.yaml").read_text()))
    assert [(one["kind"], one["metadata"]) for one in found] == [
        ("Namespace", {"name": "tiny"}),
        ("ConfigMap", {"name": "tiny", "namespace": "tiny"}),
    ]
    assert found[1]["data"] == {"greeting": "hello from ${PLEX_NAME}"}
    assert not lab.ask("render", "tiny")["apps"][0]["changed"]

    tiny.write_bytes(CHART + b"more")
    for packed in (user_cache_path("plexctl") / "charts").rglob("tiny-1.2.3.tgz"):
        packed.unlink()
    refused = lab.run("render", "tiny", code=1)
    assert (
        "a chart from a GitRepository is not supported" in lab.run("render", "kubeedge", code=2).err
    )
    assert "the checksum does not match" in refused.err
    assert "no file in apps/demo has a HelmRelease" in lab.run("render", "demo", code=2).err
