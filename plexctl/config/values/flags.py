"""Flags, environment variables and feature gates of programs."""

from __future__ import annotations

from plexctl.config.values.names import matching

FLAG = matching(
    r"[a-zA-Z][-a-zA-Z0-9.]*",
    "the name of a flag",
    "write it without dashes at its start and without its value, for example event-ttl",
    100,
)
FLAG_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
VARIABLE = matching(
    r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable", "for example GOMEMLIMIT", 100
)
GATE = matching(
    r"[A-Z][A-Za-z0-9]*", "the name of a feature gate", "for example InPlacePodVerticalScaling", 100
)
