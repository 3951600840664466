"""What is a file of Secrets, and what is wrong with one that is not."""

from __future__ import annotations

import pytest

from plexctl.workflow.gitops.manifests import faults, is_sealed

RIGHT = """\
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData:
  password: hunter2
"""


def told(text: str) -> list[str]:
    return [f"{fault.line}: {fault.message}" for fault in faults(text.encode())]


def test_secrets_one_after_another_are_right() -> None:
    assert told(RIGHT) == []
    assert told(f"---\n{RIGHT}---\n{RIGHT}") == []
    assert told(RIGHT.replace("hunter2", '""')) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: is empty"),
        ("# nothing\n", "1: is empty"),
        (f"{RIGHT}---\n", "7: has a document that is empty or no mapping"),
        (f"{RIGHT}---\n- 1\n", "7: has a document that is empty or no mapping"),
        (f"{RIGHT}---\nkind: ConfigMap\n", "7: has `kind: ConfigMap`"),
        ("workers: 2\n", "1: has no kind"),
        ("kind: Secret\n", "1: has nothing in stringData"),
        ("kind: Secret\ndata: {}\nstringData: {a: b}\n", "2: has nothing in data"),
        ("kind: Secret\nstringData:\n  # a: hunter2\n", "2: has nothing in stringData"),
        (RIGHT.replace("hunter2", "0123"), "5: has a value that is no text: stringData.password"),
        (RIGHT.replace("hunter2", "[a]"), "5: has a value that is no text: stringData.password"),
        (f"{RIGHT}  password: other\n", "6: gives stringData.password twice"),
        (f"{RIGHT}sops: {{mac: x}}\n", "1: is encrypted in part"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: str) -> None:
    (only,) = told(text)
    assert only.startswith(line)


def test_a_copy_of_the_data_in_an_annotation_is_refused() -> None:
    note = "annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}"
    (only,) = told(RIGHT.replace("{name: web}", f"{{name: web, {note}}}"))
    assert only.startswith("3: repeats its data")


@pytest.mark.parametrize(
    "value", ["*hunter2", "'hunter2", '"\\qhunter2"', "!x!hunter2 a", "[hunter2", "a: hunter2: b"]
)
def test_no_message_quotes_a_secret(value: str) -> None:
    (only,) = told(f"kind: Secret\nstringData:\n  a: {value}\n")
    assert "is not valid YAML" in only
    assert "hunter2" not in only


@pytest.mark.parametrize("text", [b"\xff\x00", b"a: \x07", b"&a {<<: *a}"])
def test_what_no_loader_takes_is_one_fault(text: bytes) -> None:
    assert len(faults(text)) == 1


def test_sealed_is_what_sops_has_left() -> None:
    assert is_sealed(b"a: ENC[x]\nsops: {mac: x}\n")
    assert is_sealed(f"{RIGHT}---\nsops: {{mac: x}}\n".encode())
    assert not is_sealed(RIGHT.encode())
    assert not is_sealed(b"sops: [\n")
