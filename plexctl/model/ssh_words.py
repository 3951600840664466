"""Values of OpenSSH's configuration, in ssh_config(5) and after `-o`."""

from __future__ import annotations

import re

from plexctl.errors import UsageError


def quoted(path: object) -> str:
    """A path as one quoted value, which ssh expands to that path (OpenSSH 8.7 or newer).

    UsageError for what ssh_config(5) cannot express: `${`, and control characters. A newline would
    begin another option.
    """
    text = str(path)
    found = re.search(r"\$\{|[\x00-\x1f\x7f]", text)
    if found is not None:
        raise UsageError(
            f"refusing to use {text!r} with ssh: its configuration cannot contain {found[0]!r}",
            hint="move the lab to a folder without such characters",
        )
    escaped = re.sub(r'(["\\])', r"\\\1", text).replace("%", "%%")
    return f'"{escaped}"'
