"""Errors of Proxmox VE, translated into errors that help a user."""

from __future__ import annotations

import re
from typing import Any

from plexctl.errors import PlexError
from plexctl.model.host_spec import HostSpec

NOT_REACHED, LOST = 595, 596
"""HTTP status when the server cannot reach the node, and when the node's answer was lost."""

PASSING = re.compile(r"is locked \(|can't lock file|got lock request timeout|lock timeout")
GONE = re.compile(r"does not exist|no such")
DENIED = re.compile(r"\((?P<path>/[^,]*), (?P<privilege>[\w.|,; ]+)\)")


class GoneError(PlexError):
    """The object of a call does not exist."""


class PassingError(Exception):
    """Another process holds a needed lock; the text names the lock."""


class NotReachedError(Exception):
    """The server that takes the call does not reach the node."""


def refusal(host: HostSpec, what: str, method: str, error: Any) -> Exception:
    """The error for `error`, a ResourceException of the library, after a call to do `what`."""
    status, reason = int(error.status_code), str(error.content).partition(" - {")[0].strip()
    if status == NOT_REACHED or (status == LOST and method != "post"):
        return NotReachedError(f"{status} {reason}")
    if status == LOST:
        return lost(host, what)
    if PASSING.search(reason):
        return PassingError(reason)
    if status == 403:
        return _denied(host, what, reason)
    if status == 401:
        how = f"--kind proxmox --token-id {_token(host)} --token"
        return PlexError(
            f"host {host.name} refuses the API token {_token(host)}: {reason}",
            hint=f"`plexctl host add {host.name} {host.url} {how}` stores its secret again",
        )
    fields = error.errors if isinstance(error.errors, dict) else {}
    details = [f"{field}: {text}".strip() for field, text in fields.items()]
    kind = GoneError if GONE.search(reason) else PlexError
    return kind(f"{cannot(host, what)}: {reason}", details=details)


def lost(host: HostSpec, what: str) -> PlexError:
    return PlexError(
        f"{cannot(host, what)}: the answer was lost",
        hint="run the command again: it finds what was done",
    )


def cannot(host: HostSpec, what: str) -> str:
    return f"host {host.name} cannot {what}"


def _denied(host: HostSpec, what: str, reason: str) -> PlexError:
    token, found = _token(host), DENIED.search(reason)
    if found is None:
        return PlexError(
            f"{cannot(host, what)}: {reason}",
            hint=f"docs/how-to/proxmox.md lists the privileges that the token {token} needs",
        )
    path, privilege, user = found["path"], found["privilege"], token.partition("!")[0]
    return PlexError(
        f"{cannot(host, what)}: the token {token} lacks {privilege} on {path}",
        details=(reason,),
        hint=f"`pveum acl modify {path} --users {user} --roles ROLE`, with a role that has "
        f"{privilege}; with `--tokens '{token}'` as well if the token has rights of its own; "
        "docs/how-to/proxmox.md lists all that are needed",
    )


def _token(host: HostSpec) -> str:
    return host.proxmox.token if host.proxmox else ""
