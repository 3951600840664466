"""Sources of apps, and versions."""

from __future__ import annotations

import re

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.config.values.urls import check_authority
from plexctl.model.gitops import SourceKind

_VERSION_PART = r"(0|[1-9][0-9]{0,8}|[xX*])"
_COMPARED = (
    rf"(=|!=|>|<|>=|=>|<=|=<|~|~>|\^)?\s*v?{_VERSION_PART}(\.{_VERSION_PART}(\.{_VERSION_PART}"
    r"(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?)?"
    rf"(\s+-\s+v?{_VERSION_PART}(\.{_VERSION_PART}){{0,2}})?"
)


def _parse_version(value: object) -> str:
    version = str(getattr(value, "text", value))
    if not re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", version):
        hint = "remove the v" if version.startswith("v") else "for example 1.36 or 1.36.3"
        raise Fault(f"must be a Kubernetes version, not {describe(value)}", hint)
    return version


def _parse_app_source(value: object) -> tuple[SourceKind, str]:
    source = text(value)
    if source == SourceKind.REGISTRY:
        return SourceKind.REGISTRY, ""
    match = re.fullmatch(r"(ssh|https|oci)://[^/\s]+/\S+", source)
    if not match:
        scp = re.fullmatch(r"(\w+@[\w.-]+):(?!//)(\S+)", source, re.ASCII)
        raise Fault(
            f"'{source}' is not a valid source of apps",
            f"did you mean ssh://{scp[1]}/{scp[2]}?"
            if scp
            else "use `registry`, or a URL that starts with ssh://, https:// or oci://",
        )
    if re.match(r"(https|oci)://[^/]*@", source):
        raise Fault(
            "must not contain a user name or a password",
            "store a token, encrypted, with `plexctl flux token`",
        )
    if re.match(r"ssh://[^/@]*:[^/]*@", source):
        raise Fault("must not contain a password", "remove it: plexctl uses the lab's deploy key")
    if not re.fullmatch(r"[!#-&(-;=?-_a-~]+", source):
        raise Fault("contains a character that no URL has", "remove quotes and backslashes")
    check_authority(source, source.split("/")[2].rpartition("@")[2])
    return SourceKind(match[1]), source


def _parse_branch(value: object) -> str:
    """The name of a branch or a tag of git, by the rules of git-check-ref-format."""
    name = text(value)
    parts = name.split("/")
    wrong = (
        not re.fullmatch(r"[^\x00-\x20\x7f~^:?*\[\\]{1,244}", name)
        or ".." in name
        or "@{" in name
        or name == "@"
        or name.startswith("-")
        or name.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if wrong:
        raise Fault(f"{describe(value)} is not a name in a git repository", "for example main")
    return name


def _parse_semver(value: object) -> str:
    """A range of versions, as Flux reads it (Masterminds/semver)."""
    written = text(value)
    for part in re.split(r"\|\|", written):
        if not re.fullmatch(rf"\s*{_COMPARED}((\s*,\s*|\s+){_COMPARED})*\s*", part, re.ASCII):
            raise Fault(
                f"{describe(value)} is not a range of versions",
                "for example `1.x`, `>=1.2.0 <2.0.0` or `~1.4`",
            )
    return written


BRANCH = Scalar(_parse_branch, {"type": "string", "minLength": 1})
SEMVER = Scalar(_parse_semver, {"type": "string", "minLength": 1})
VERSION = Scalar(
    _parse_version,
    {"anyOf": [{"type": "string", "pattern": r"^[0-9]+\.[0-9]+(\.[0-9]+)?$"}, {"type": "number"}]},
)
OCI_TAG = r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}"
APP_SOURCE = Scalar(
    _parse_app_source,
    {"type": "string", "pattern": r"^(registry|(ssh|https|oci)://[^/\s]+/\S+)$"},
)
