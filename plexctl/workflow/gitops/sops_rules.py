"""Age keys that the file .sops.yaml of a lab adds to files of Secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from plexctl.clients.sops import OTHER_KINDS
from plexctl.config.bounded import check_yaml, pattern_matches, read_regular
from plexctl.errors import PlexError, UsageError

NAME = ".sops.yaml"
_RECIPIENT = re.compile(r"age1[0-9a-z]+|ssh-(ed25519|rsa) [0-9A-Za-z+/=]+")


def sops_rules(root: Path, file: Path) -> tuple[str, ...]:
    """The age keys of the first matching rule in the nearest .sops.yaml of the lab at `root`.

    PlexError if .sops.yaml is not valid, or its rule names keys of other kinds.
    """
    place, top = Path(os.path.realpath(file)), Path(os.path.realpath(root))
    for folder in place.parents:
        if not folder.is_relative_to(top):
            break
        if (folder / NAME).is_file():
            return tuple(_keys(folder / NAME, place.relative_to(folder).as_posix()))
    return ()


def _keys(rules: Path, path: str) -> Iterator[str]:
    try:
        text = read_regular(rules)
        check_yaml(text)
        content = next(yaml.load_all(text, yaml.CBaseLoader), None)
        listed = content.get("creation_rules") if isinstance(content, dict) else None
        for rule in listed if isinstance(listed, list) else ():
            if isinstance(rule, dict) and pattern_matches(str(rule.get("path_regex", "")), path):
                break
        else:
            return
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise UsageError(f"cannot read {rules}", details=str(error).splitlines()) from None
    if kinds := [kind for kind in (*OTHER_KINDS, "hc_vault_transit_uri") if rule.get(kind)]:
        raise PlexError(
            f"nothing was changed: {rules} wants {path} encrypted for {', '.join(kinds)}",
            details=("plexctl encrypts for age keys only",),
            hint="encrypt the file with sops itself, or name keys of age in the rule",
        )
    keys = rule.get("age") or ()
    for key in keys.split(",") if isinstance(keys, str) else keys:
        recipient = str(key).strip()
        if recipient and not _RECIPIENT.fullmatch(recipient):
            raise PlexError(f"{rules} has a key in `age` that is not a public key of age")
        if recipient:
            yield recipient
