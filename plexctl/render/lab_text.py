"""Results about the lab's own files, as text."""

from __future__ import annotations

from plexctl.errors import visible
from plexctl.render.errors import shown_path
from plexctl.results.lab import (
    ImportResult,
    InitResult,
    KubeconfigResult,
    SecretsResult,
    TrustResult,
    UseResult,
)


def init(result: InitResult) -> str:
    if not result.written:
        return f"{shown_path(result.root)}: unchanged"
    lines = [f"wrote {shown_path(file)}" for file in result.written]
    seed = next((file for file in result.written if file.suffix == ".age"), None)
    if seed:
        opener = result.key_file or "your passphrase"
        lines += [
            f"All keys of the lab are derived from {shown_path(seed)}, which {opener} decrypts.",
            "Back up both.",
        ]
    return "\n".join([*lines, "", f"plexctl up {result.plex}"])


def imported(result: ImportResult) -> str:
    lines = [f"wrote {shown_path(path)}" for path in result.written]
    return "\n".join((*lines, *(f"unchanged: {name}" for name in result.unchanged)))


def secrets(result: SecretsResult, unchanged: str = "unchanged:") -> str:
    if not result.files:
        return "no encrypted file in clusters/ and apps/"
    lines = []
    for row in result.files:
        also = f" (also for {', '.join(row.others)})" if row.others else ""
        action = result.action if row.changed else unchanged
        lines.append(f"{action} {shown_path(row.file)}{also}")
    return "\n".join(lines)


def encrypted_secrets(result: SecretsResult) -> str:
    return secrets(result, "encrypted already:")


def kubeconfig(result: KubeconfigResult) -> str:
    did = "wrote" if result.changed else "unchanged:"
    kept = f"; the old file is {shown_path(result.backup)}" if result.backup else ""
    return f"{did} {shown_path(result.file)} (context {result.context}){kept}"


def use(result: UseResult) -> str:
    return f"{result.plex} is the current plex"


def trust(result: TrustResult) -> str:
    if not result.files:
        text = "no part of this lab runs programs on this machine"
        return f"{text}; later ones are trusted too" if result.always else text
    lines = []
    part = ""
    for row in result.files:
        if row.part != part:
            part = row.part
            lines.append(f"{part}: {row.runs}")
        lines.append(f"  {row.state:8} {row.file}")
    return visible(
        "\n".join([*lines, *(["later changes are trusted too"] if result.always else [])])
    )
