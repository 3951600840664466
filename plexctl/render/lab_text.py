"""The lab's own files, as text."""

from __future__ import annotations

from typing import assert_never

from plexctl.render.errors import shown_path
from plexctl.results.lab import InitResult, KubeconfigResult, SecretsResult, UseResult

Result = InitResult | KubeconfigResult | SecretsResult | UseResult


def text(result: Result) -> str:
    match result:
        case InitResult():
            return _init(result)
        case SecretsResult():
            return _secrets(result)
        case KubeconfigResult():
            did = "wrote" if result.changed else "unchanged:"
            return f"{did} {shown_path(result.file)} (context {result.context})"
        case UseResult():
            return f"{result.plex} is the plex that is meant where none is named"
        case _:
            assert_never(result)


def _init(result: InitResult) -> str:
    if not result.written:
        return f"{shown_path(result.root)}: unchanged"
    lines = [f"wrote {shown_path(file)}" for file in result.written]
    if any(file.suffix == ".age" for file in result.written):
        opens = result.key or "your passphrase"
        lines += [f"All keys of the lab come from seed.age; {opens} opens it: keep both."]
    return "\n".join([*lines, "", f"plexctl up {result.plex}"])


def _secrets(result: SecretsResult) -> str:
    if not result.files:
        return "no encrypted file below clusters/ and apps/"
    return "\n".join(
        f"{result.done if row.changed else 'unchanged:'} {shown_path(row.file)}"
        for row in result.files
    )
