"""Helm runs without anything of the user, and its values are not visible to others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from plexctl.clients import helm
from plexctl.errors import PlexError

FAKE = """#!{python}
import json, os, sys
values = json.load(sys.stdin)
if values.get("broken"):
    sys.exit("Error: template: tiny/templates/map.yaml:1: broken")
if "text" in values:
    sys.exit(print(values["text"]))
print("---\\n# Source: empty\\n---")
print(json.dumps({{"kind": "Seen", "argv": sys.argv[1:], "env": dict(os.environ), "is": values}}))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    program = tmp_path / "helm"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    return program


def test_helm_uses_nothing_of_the_user(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "theirs")
    monkeypatch.setenv("KUBECONFIG", "/theirs")
    chart = tmp_path / "tiny-1.2.3.tgz"
    made = helm.template(fake, chart, "tiny", "here", {"a": 1}, kubernetes="1.36.3")

    (seen,) = made
    assert seen["is"] == {"a": 1}
    assert " ".join(seen["argv"]) == (
        "template --namespace=here --include-crds --skip-tests --values=- --kube-version=1.36.3 "
        f"-- tiny {chart}"
    )
    mine = {name for name in seen["env"] if not name.startswith(("LC_", "PYTHON"))}
    assert mine == {
        *(f"HELM_{one}" for one in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "PLUGINS")),
        "HOME",
        "KUBECONFIG",
    }
    assert not Path(seen["env"]["HOME"]).exists()
    assert "theirs" not in json.dumps(seen["env"])


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 10_000, "a: 2026-13-41", "a: !!timestamp x", "&a [*a]", "a: !!int x"]
)
def test_a_chart_that_renders_to_something_else_is_an_error(
    fake: Path, tmp_path: Path, text: str
) -> None:
    with pytest.raises(PlexError, match=r"tiny\.tgz does not render to valid YAML"):
        helm.template(fake, tmp_path / "tiny.tgz", "tiny", "here", {"text": text})


def test_a_chart_that_does_not_render_is_an_error(fake: Path, tmp_path: Path) -> None:
    with pytest.raises(PlexError, match=r"cannot render the chart tiny\.tgz") as caught:
        helm.template(fake, tmp_path / "tiny.tgz", "tiny", "here", {"broken": True})
    assert "map.yaml:1: broken" in caught.value.details[-1]


def test_names_from_files_are_never_options(fake: Path, tmp_path: Path) -> None:
    """`helm template --post-renderer=/bin/sh CHART` ran a program."""
    (seen,) = helm.template(fake, tmp_path / "tiny.tgz", "--post-renderer=/bin/sh", "--x", {})
    assert seen["argv"][seen["argv"].index("--") + 1] == "--post-renderer=/bin/sh"
    assert "--namespace=--x" in seen["argv"]
