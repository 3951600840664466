"""Results as text, for people: tables and short sentences."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DOMAINS = {
    "plexctl.results.apps": "plexctl.render.apps_text",
    "plexctl.results.hosts": "plexctl.render.host_text",
    "plexctl.results.images": "plexctl.render.images_text",
    "plexctl.results.lab": "plexctl.render.lab_text",
    "plexctl.results.plex": "plexctl.render.plex_text",
    "plexctl.results.registry": "plexctl.render.registry_text",
}
"""Whose `text` shows the results of which module: a verb loads only the words of its own."""


def text(result: DataclassInstance) -> str:
    """What a verb answers, without a newline at its end."""
    shown: str = import_module(DOMAINS[type(result).__module__]).text(result)
    return shown
