"""Verbs about secrets of apps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plexctl.cli.options import Json, Quiet
from plexctl.cli.session import answer, lab

secret = typer.Typer(no_args_is_help=True, help="Keep secrets of apps encrypted in their files.")


@secret.command()
def edit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An encrypted file, or a new one.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Edit a file of Secrets with $VISUAL or $EDITOR.

    Its plain text is in memory alone; what you save is encrypted before it reaches a disk.
    """
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.gitops import secrets

        sops = secrets.lab_sops(ctx)
    # The terminal is the editor's now: nothing else may draw on it.
    answer(secrets.edit(sops, file), json)


@secret.command()
def encrypt(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Manifests of Secrets, in plain text.")
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encrypt files in place. Where one has anything but Secrets, none is changed."""
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.gitops import secrets

        result = secrets.encrypt(secrets.lab_sops(ctx), files)
    answer(result, json)


@secret.command()
def rotate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Encrypted files; default: all below clusters/ and apps/."
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encrypt files anew, with new data keys.

    They are for the lab's newest key then, and no other: raise secrets.epoch in
    clusters/hosts.yaml beforehand to have a new one.
    """
    with lab(context, quiet=quiet) as ctx:
        from plexctl.workflow.gitops import secrets

        result = secrets.rotate(secrets.lab_sops(ctx), ctx.lab.root, files or ())
    answer(result, json)
