"""Users and their rights: tokens, tickets, privileges."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_pve.errors import ApiError, forbidden
from tests.fake_pve.routing import Call, route

Privileges = Mapping[str, Iterable[str]] | Iterable[str] | None


@dataclass(slots=True)
class Identity:
    """A user, or a token of one; `privileges` by path, None for all of them everywhere."""

    user: str
    token: str = ""
    privileges: dict[str, set[str]] | None = None

    @property
    def name(self) -> str:
        """As UPIDs and messages show it: user@realm, or user@realm!token."""
        return f"{self.user}!{self.token}" if self.token else self.user

    def may(self, path: str, privileges: Iterable[str], some: bool = False) -> bool:
        """Whether it has all (or `some`) of these on `path`; the deepest entry above it counts."""
        if self.privileges is None:
            return True
        above = [at for at in self.privileges if f"{path}/".startswith(f"{at.rstrip('/')}/")]
        held = self.privileges[max(above, key=len)] if above else set()
        return (any if some else all)(privilege in held for privilege in privileges)

    def check(self, path: str, *privileges: str, some: bool = False) -> None:
        """Raise the answer 403 unless it may."""
        for privilege in [privileges] if some else [(one,) for one in privileges]:
            if not self.may(path, privilege, some):
                raise forbidden(path, "|".join(privilege))


@dataclass(slots=True)
class Access:
    """All identities with their secrets, and the tickets that were given out."""

    ticket_seconds: float = 7200.0
    tokens: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    users: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    tickets: dict[str, tuple[Identity, float, str]] = field(default_factory=dict)

    def add_token(self, user: str, token: str, privileges: Privileges) -> str:
        """A token of `user`; gives its secret. One that is there keeps it, with new privileges."""
        identity = Identity(user, token, by_path(privileges))
        _, known = self.tokens.get(identity.name, (None, ""))
        self.tokens[identity.name] = identity, known or str(uuid.uuid4())
        return self.tokens[identity.name][1]

    def add_user(self, user: str, password: str, privileges: Privileges) -> None:
        """A user who logs in with a password."""
        self.users[user] = Identity(user, "", by_path(privileges)), password

    def log_in(self, user: str, password: str) -> dict[str, str]:
        """A ticket for a password, or for a ticket that is still valid."""
        identity, right = self.users.get(user, (None, ""))
        renewed = self.tickets.get(password)
        by_ticket = renewed is not None and renewed[0].user == user and self._fresh(renewed[1])
        if identity is None or not (by_ticket or secrets.compare_digest(right, password)):
            raise ApiError(401, "authentication failure")
        stamp = f"{int(time.time()):08X}"
        ticket = f"PVE:{user}:{stamp}::{_noise(256)}"
        csrf = f"{stamp}:{_noise(32)}"
        self.tickets[ticket] = identity, time.monotonic(), csrf
        return {"username": user, "ticket": ticket, "CSRFPreventionToken": csrf}

    def _fresh(self, born: float) -> bool:
        return time.monotonic() - born < self.ticket_seconds

    def identify(self, method: str, headers: Mapping[str, str]) -> Identity:
        """The user that sent a request with these headers (lower-case names); 401 if unknown."""
        header = headers.get("authorization", "")
        if header.startswith("PVEAPIToken="):
            return self._by_token(header.removeprefix("PVEAPIToken="))
        cookies = dict(
            part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";")
        )
        ticket = cookies.get("PVEAuthCookie", "").strip('"').replace("%3A", ":")
        if not ticket:
            raise ApiError(401, "No ticket")
        known = self.tickets.get(ticket)
        if known is None or not self._fresh(known[1]):
            raise ApiError(401, "permission denied - invalid PVE ticket")
        if method != "GET" and headers.get("csrfpreventiontoken") != known[2]:
            raise ApiError(401, "Permission denied - invalid csrf token")
        return known[0]

    def _by_token(self, text: str) -> Identity:
        name, _, secret = text.partition("=")
        identity, right = self.tokens.get(name, (None, ""))
        if identity is None:
            raise ApiError(401, f"no such token '{name.partition('!')[2]}' for user "
                           f"'{name.partition('!')[0]}'")  # fmt: skip
        if not secrets.compare_digest(right, secret):
            raise ApiError(401, "invalid token value!")
        return identity


def by_path(privileges: Privileges) -> dict[str, set[str]] | None:
    """Privileges by path, from a plain list (which then holds on /) or a mapping."""
    if privileges is None:
        return None
    if isinstance(privileges, Mapping):
        return {path: set(names) for path, names in privileges.items()}
    return {"/": set(privileges)}


def _noise(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()


def permit(who: Identity, permissions: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Compare a request with the permissions that the schema gives its endpoint."""
    if who.privileges is None:
        return
    if not permissions:
        raise ApiError(403, "Permission check failed (user != root@pam)")
    if "check" in permissions:
        _permit(who, permissions["check"], params)


def _permit(who: Identity, check: list[Any], params: Mapping[str, Any]) -> None:
    word, *rest = check
    if word == "and":
        for part in rest:
            _permit(who, part, params)
    elif word == "or":
        if not any(_passes(who, part, params) for part in rest):
            raise ApiError(403, "Permission check failed")
    elif word == "perm":
        template, privileges, *options = rest
        settings = dict(zip(options[::2], options[1::2], strict=False))
        if settings.get("require_param") and settings["require_param"] not in params:
            raise ApiError(403, "Permission check failed")
        path = template
        for name, value in params.items():
            path = path.replace(f"{{{name}}}", str(value))
        who.check(path, *privileges, some=bool(settings.get("any")))
    elif not (word == "userid-param" and params.get("userid") == who.user):
        raise ApiError(403, "Permission check failed")


def _passes(who: Identity, check: list[Any], params: Mapping[str, Any]) -> bool:
    try:
        _permit(who, check, params)
    except ApiError:
        return False
    return True


@route("POST /access/ticket")
def log_in(call: Call) -> dict[str, Any]:
    """A ticket and its CSRF token."""
    user = call.params["username"]
    if "realm" in call.params and "@" not in user:
        user = f"{user}@{call.params['realm']}"
    return {**call.pve.access.log_in(user, call.params["password"]), "cap": {}}


@route("GET /access/permissions")
def permissions(call: Call) -> dict[str, Any]:
    """The caller's privileges by path."""
    held = call.who.privileges
    if held is None:
        return {"/": {"Permissions.Modify": 1, "Sys.Modify": 1, "VM.Allocate": 1}}
    return {path: dict.fromkeys(sorted(names), 1) for path, names in held.items()}


@route("POST /access/users/{userid}/token/{tokenid}")
def create_token(call: Call) -> dict[str, Any]:
    """A token; its privileges are those of its user here, unless they are separate: then none."""
    user, token = call.params["userid"], call.params["tokenid"]
    if f"{user}!{token}" in call.pve.access.tokens:
        raise ApiError(400, "Token already exists.")
    separate = call.params.get("privsep", 1)
    secret = call.pve.access.add_token(user, token, {} if separate else call.who.privileges)
    return {"full-tokenid": f"{user}!{token}", "info": {"privsep": str(separate)}, "value": secret}
