"""Paths of files, on the host and in the lab."""

from __future__ import annotations

import os
import re

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.config.values.names import PLAIN, matching

MOST_PATH, MOST_FILE_NAME = 1024, 255


def _parse_lab_file(value: object) -> str:
    path = text(value)
    parts = path.removeprefix("./").rstrip("/").split("/")
    if path.startswith("/") or not all(parts) or ".." in parts or not re.fullmatch(PLAIN, path):
        raise Fault(
            f"must be a path inside of the lab, not {describe(value)}",
            "for example clusters/known_hosts",
        )
    if len(path) > MOST_PATH or any(len(os.fsencode(part)) > MOST_FILE_NAME for part in parts):
        raise Fault("is too long for the path of a file", "use a shorter path inside of the lab")
    return "/".join(parts)


PATH = matching(r"/[^\x00-\x1f\x7f-\x9f]*", "an absolute path", "start it with /", MOST_PATH)
SOCKET = matching(
    r"/[^\x00-\x1f\x7f-\x9f]*",
    "the path of a socket",
    "start it with /, 107 characters at most",
    107,
)
LAB_FILE = Scalar(_parse_lab_file, {"type": "string", "pattern": "^[^/]"})
