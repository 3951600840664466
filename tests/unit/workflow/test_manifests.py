"""Faults of manifests of Secrets, with their lines and without values."""

from __future__ import annotations

import pytest

from plexctl.workflow.gitops.manifests import faults, is_encrypted

RIGHT = """\
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData:
  password: hunter2
"""


def reported(text: str) -> list[str]:
    return [f"{fault.line}: {fault.message}" for fault in faults(text.encode())]


def test_several_secrets_in_one_file_are_valid() -> None:
    assert reported(RIGHT) == []
    assert reported(f"---\n{RIGHT}---\n{RIGHT}") == []
    assert reported(RIGHT.replace("hunter2", '""')) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: is empty"),
        ("# nothing\n", "1: is empty"),
        (f"{RIGHT}---\n", "7: a document is empty, or not a mapping"),
        (f"{RIGHT}---\n- 1\n", "7: a document is empty, or not a mapping"),
        (f"{RIGHT}---\nkind: ConfigMap\n", "7: an object has `kind: ConfigMap`"),
        ("workers: 2\n", "1: an object has no `kind`"),
        ("kind: Secret\n", "1: `stringData` has no values"),
        ("kind: Secret\ndata: {}\nstringData: {a: b}\n", "2: `data` has no values"),
        ("kind: Secret\nstringData:\n  # a: hunter2\n", "2: `stringData` has no values"),
        (RIGHT.replace("hunter2", "0123"), "5: the value of `stringData.password` is not text"),
        (RIGHT.replace("hunter2", "[a]"), "5: the value of `stringData.password` is not text"),
        (f"{RIGHT}  password: other\n", "6: `stringData.password` is given twice"),
        (f"{RIGHT}sops: {{mac: x}}\n", "1: the Secret is encrypted only in part"),
    ],
)
def test_a_fault_is_reported_with_its_line(text: str, line: str) -> None:
    (only,) = reported(text)
    assert only.startswith(line)


def test_a_copy_of_the_data_in_an_annotation_is_refused() -> None:
    note = "annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}"
    (only,) = reported(RIGHT.replace("{name: web}", f"{{name: web, {note}}}"))
    assert only.startswith("3: the annotation kubectl.kubernetes.io/last-applied-configuration")


@pytest.mark.parametrize(
    "value", ["*hunter2", "'hunter2", '"\\qhunter2"', "!x!hunter2 a", "[hunter2", "a: hunter2: b"]
)
def test_no_message_quotes_a_secret(value: str) -> None:
    (only,) = reported(f"kind: Secret\nstringData:\n  a: {value}\n")
    assert "not valid YAML" in only
    assert "hunter2" not in only


@pytest.mark.parametrize("text", [b"\xff\x00", b"a: \x07", b"&a {<<: *a}"])
def test_a_file_that_cannot_be_parsed_has_one_fault(text: bytes) -> None:
    assert len(faults(text)) == 1


def test_a_file_with_metadata_of_sops_is_encrypted() -> None:
    assert is_encrypted(b"a: ENC[x]\nsops: {mac: x}\n")
    assert is_encrypted(f"{RIGHT}---\nsops: {{mac: x}}\n".encode())
    assert not is_encrypted(RIGHT.encode())
    assert not is_encrypted(b"sops: [\n")
