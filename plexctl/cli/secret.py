"""The verbs about encrypted Secrets of apps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, Quiet
from plexctl.cli.session import lab
from plexctl.cli.terminal import answer
from plexctl.render import lab_text
from plexctl.workflow.gitops import secrets


def edit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An encrypted or a new file.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Edit a file of Secrets in your editor. The editor is $VISUAL or $EDITOR.

    The plain text stays in memory; plexctl encrypts it before it writes the file.
    """
    with lab(context, quiet=quiet) as ctx:
        sops = secrets.lab_sops(ctx)
    # Outside of the block: progress must not be drawn over the editor.
    answer(secrets.edit(sops, ctx.lab.root, file), lab_text.secrets, json)


def encrypt(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Manifests of Secrets, in plain text.")
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encrypt files of Secrets in place.

    If a file contains anything but Secrets, no file is changed.
    """
    with lab(context, quiet=quiet) as ctx:
        result = secrets.encrypt(secrets.lab_sops(ctx), ctx.lab.root, files)
    answer(result, lab_text.encrypted_secrets, json)


def rotate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Encrypted files; default: all in clusters/ and apps/."
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encrypt files with new data keys.

    The lab's newest key replaces its older ones; keys of others stay. For a new key, first raise
    secrets.epoch in clusters/hosts.yaml.
    """
    with lab(context, quiet=quiet) as ctx:
        result = secrets.rotate(secrets.lab_sops(ctx), ctx.lab.root, files or ())
    answer(result, lab_text.secrets, json)
