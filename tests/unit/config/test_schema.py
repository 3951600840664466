"""The schemas and the page of the configuration are generated from the fields."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from plexctl.config import reference
from plexctl.config.draft import draft_lab
from plexctl.config.load import load_lab
from plexctl.config.schema import FOLDER, schema_files, schemas

CHECKOUT = Path(__file__).parents[3]
COMMAND = "run `python -m plexctl.config.reference`"


def test_the_shipped_schemas_are_up_to_date() -> None:
    shipped = {file.name: file.read_bytes() for file in FOLDER.iterdir()}
    assert shipped == schema_files(), COMMAND


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE.read_text() == reference.page(), COMMAND


def test_every_field_of_ours_has_a_description() -> None:
    def fields(schema: dict[str, object], path: str) -> None:
        for name, field in dict(schema.get("properties", {})).items():  # type: ignore[call-overload]
            if "kubeadm" in path or "kubelet" in path:
                continue  # Kubernetes' own
            assert field["description"].endswith("."), f"{path}.{name}"
            fields(field, f"{path}.{name}")
            fields(field.get("items", {}), f"{path}.{name}")

    for kind, schema in schemas().items():
        fields(schema, kind)


def test_the_examples_of_the_page_are_a_valid_lab(tmp_path: Path) -> None:
    files = {
        "hosts": "clusters/hosts.yaml",
        "plex": "clusters/demo/plex.yaml",
        "type": "types/mine.yaml",
        "bases": "types/bases.yaml",
    }
    examples = re.findall(r"^```yaml\n(.*?)^```", reference.page(), re.DOTALL | re.MULTILINE)
    for kind, text in zip(schemas(), examples, strict=True):
        file = tmp_path / files[kind]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    lab = load_lab(tmp_path, ["1.36.3"])
    assert lab.plexes["demo"].workers == 6
    assert "mine" in lab.types


@pytest.mark.parametrize(
    "file",
    [source.file for source in draft_lab(CHECKOUT).sources()],
    ids=lambda file: str(file.relative_to(CHECKOUT)),
)
def test_the_files_of_this_checkout_name_their_schema(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    _, _, path = first.partition("# yaml-language-server: $schema=")
    schema = json.loads((file.parent / path).read_text())
    assert set(yaml.safe_load(file.read_text())) <= set(schema.get("properties", ())) or (
        file.name == "bases.yaml" and "additionalProperties" in schema
    )
