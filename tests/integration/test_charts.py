"""A chart rendered by the real Helm, as the depot has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_cache_path

from plexctl.clients import helm
from plexctl.depot.pins import load_pins
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from tests.unit.depot.support import Told
from tests.unit.depot.test_charts import CHART


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Helm out of the user's depot, which is filled with it."""
    depot = Depot(user_cache_path("plexctl") / "depot")
    (stored,) = depot.fill(load_pins().releases[0], ["helm"], Told())
    copy = tmp_path_factory.mktemp("bin") / "helm"
    copy.write_bytes(stored.artifact("helm").path.read_bytes())
    copy.chmod(0o755)
    return copy


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


def test_what_the_chart_says_itself_serves(program: Path, tiny: Path) -> None:
    (made,) = helm.template(program, tiny, "hello", "here", {})

    assert made["data"] == {"greeting": "nobody"}


def test_a_broken_chart_is_said(program: Path, tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 1.2.3\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "map.yaml").write_text("{{ fail `no such luck` }}\n")

    with pytest.raises(PlexError, match="does not render") as caught:
        helm.template(program, tmp_path, "hello", "here", {})
    assert "no such luck" in " ".join(caught.value.details)
