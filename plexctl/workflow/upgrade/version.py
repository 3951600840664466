"""The field `kubernetes` of a plex file: an upgrade writes it, and a rollback puts it back."""

from __future__ import annotations

from dataclasses import replace

from plexctl.config.check import newest
from plexctl.config.edit import field_text, set_field
from plexctl.config.load import load_lab
from plexctl.errors import UsageError
from plexctl.model.plex import Plex
from plexctl.workflow.core.context import Context

FIELD = "kubernetes"


def chosen_version(ctx: Context, plex: Plex, to: str | None) -> str:
    """The version that `plex` shall have: the newest one that is `to`, or that of its file.

    UsageError for a version that is not pinned.
    """
    if to is None:
        return plex.kubernetes
    versions = ctx.pins.versions()
    found = newest(versions, to)
    if found is None:
        raise UsageError(
            f"plexctl does not support Kubernetes {to!r}",
            hint=f"use {', '.join(versions)}; `plexctl versions` lists them",
        )
    return found


def before_in_file(plex: Plex, running: str) -> str:
    """The field as it is written in the plex file; if it has none, the version that runs.

    Without the field a plex has the newest version, which is not the one before.
    """
    return field_text(plex.file, FIELD) or f'"{running.removeprefix("v")}"'


def write_version(ctx: Context, plex: Plex, text: str) -> tuple[Context, Plex]:
    """Write the field, as YAML; the lab and the plex as they are with it.

    ConfigError if other fields of the file do not fit the version.
    """
    set_field(ctx.lab.root, plex.file, FIELD, text)
    return reloaded(ctx, plex.name)


def reloaded(ctx: Context, plex: str) -> tuple[Context, Plex]:
    """The lab and the plex as the files are now."""
    ctx = replace(ctx, lab=load_lab(ctx.lab.root, ctx.pins.versions()))
    return ctx, ctx.lab.plexes[plex]
