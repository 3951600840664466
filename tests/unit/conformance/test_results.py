"""Reports of ginkgo, as text and as the table of the docs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance import images, results, run

REPORT = [
    {
        "SpecReports": [
            {
                "LeafNodeType": "SynchronizedBeforeSuite",
                "LeafNodeText": "",
                "ContainerHierarchyTexts": None,
                "State": "passed",
            },
            {
                "LeafNodeType": "It",
                "LeafNodeText": "should start [Conformance]",
                "ContainerHierarchyTexts": ["[sig-node] Pods"],
                "State": "passed",
            },
            {
                "LeafNodeType": "It",
                "LeafNodeText": "should end [Conformance]",
                "ContainerHierarchyTexts": ["[sig-apps] Job"],
                "State": "timedout",
                "Failure": {"Message": "it went on\nfor ever"},
            },
            {
                "LeafNodeType": "It",
                "LeafNodeText": "is of another feature",
                "ContainerHierarchyTexts": ["[sig-apps] Job"],
                "State": "skipped",
            },
        ]
    }
]


@pytest.fixture
def specs(tmp_path: Path) -> tuple[results.Spec, ...]:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    return results.read(tmp_path / "report.json")


def test_specs_that_ran_are_read(specs: tuple[results.Spec, ...]) -> None:
    assert [(spec.group, spec.state) for spec in specs] == [
        ("sig-apps", "timedout"),
        ("sig-node", "passed"),
    ]
    assert [spec.name for spec in results.failed(specs)] == [
        "[sig-apps] Job should end [Conformance]"
    ]


def test_the_text_names_what_failed_and_why(specs: tuple[results.Spec, ...]) -> None:
    assert results.text(specs, 12.3).splitlines() == [
        "timedout  [sig-apps] Job should end [Conformance]",
        "    it went on",
        "1 of 2 specs passed in 12 s",
    ]


def test_recording_replaces_one_section(
    specs: tuple[results.Spec, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(results.PAGE.read_text())
    monkeypatch.setattr(results, "PAGE", page)
    results.record("serial", specs, 3.0)
    results.record("serial", specs[1:], 3.0)
    text = page.read_text()
    assert text.count("Serial, slow and disruptive: 1 of 1 passed") == 1
    assert "| sig-node | 1 | 1 |" in text
    assert "should end" not in text
    before = results.PAGE.read_text
    assert text.partition("<!-- serial -->")[0] == before().partition("<!-- serial -->")[0]


def test_a_name_is_a_regular_expression_of_itself() -> None:
    for name in (*run.QUICK, "a [b] c.d (e) f|g $h ^i {1} j+k?"):
        assert re.fullmatch(results.escaped(name), name)
    assert not re.fullmatch(results.escaped("a.b"), "axb")


def test_each_image_has_an_archive_of_its_own() -> None:
    names = [images.file_name(image.reference) for image in images.images({})]
    assert len(names) == len(set(names))
