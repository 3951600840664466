"""Make an Incus server trust the lab, with a token that the server's owner has created."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

import requests

from plexctl.clients.incus.credentials import Credentials
from plexctl.clients.pinned import CONNECT, fingerprint, reason, server_certificate
from plexctl.clients.pinned_session import pinned_session
from plexctl.clients.server_clock import ServerClock
from plexctl.errors import PlexError, UsageError
from plexctl.keys.validity import SET_HOST_CLOCK, host_clock_fault
from plexctl.model.secret import Secret

ANSWER = 30
"""Seconds."""

HOW = "`incus config trust add plexctl` on the host prints one"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that `incus config trust add` prints."""

    fingerprint: str  # SHA-256 of the server's certificate, hex
    text: Secret


def read_token(text: Secret) -> Token:
    """UsageError if it is not a token."""
    try:
        content = json.loads(base64.b64decode(text.reveal().strip(), validate=True))
        return Token(str(content["fingerprint"]).lower(), Secret(text.reveal().strip()))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise UsageError("this is not a trust token of Incus", hint=HOW) from None


def shown_fingerprint(url: str) -> str:
    """SHA-256 of the certificate that the server at `url` shows, trusted or not."""
    return fingerprint(server_certificate(url))


def introduce(url: str, token: Token, credentials: Credentials) -> str:
    """Make the server at `url` trust the lab's certificate; returns the server's fingerprint.

    PlexError if the token is of another server, or no longer valid.
    """
    shown = shown_fingerprint(url)
    if shown != token.fingerprint:
        raise PlexError(
            f"the token is of another server than {url}",
            details=(f"certificate of the server: {shown}", f"in the token: {token.fingerprint}"),
            hint="check the URL",
        )
    if known(url, shown, credentials):
        return shown
    with pinned_session(url, shown) as session:
        session.cert = (str(credentials.certificate), str(credentials.key))
        body = {"type": "client", "trust_token": token.text.reveal_text()}
        try:
            answer = session.post(f"{url}/1.0/certificates", json=body, timeout=(CONNECT, ANSWER))
        except requests.RequestException as error:
            raise PlexError(f"{url} does not answer", details=(reason(error),)) from None
    if answer.status_code >= 400:
        raise PlexError(
            f"{url} refuses the token",
            details=(_refusal(answer),),
            hint=f"each token works once, for a limited time; {HOW}",
        )
    return shown


def _refusal(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):  # another server than Incus answers
        return f"{answer.status_code} {answer.reason}"


def known(url: str, certificate: str, credentials: Credentials) -> bool:
    """Whether the server trusts the lab.

    PlexError if it does not answer, or if its clock says that no certificate of the lab is valid.
    """
    clock = ServerClock()
    with pinned_session(url, certificate) as session:
        session.cert = (str(credentials.certificate), str(credentials.key))
        clock.watch(session)
        try:
            answer = session.get(f"{url}/1.0", timeout=(CONNECT, ANSWER))
        except requests.RequestException as error:
            raise PlexError(f"{url} does not answer", details=(reason(error),)) from error
    if fault := host_clock_fault(url, clock.offset):
        raise PlexError(fault, hint=SET_HOST_CLOCK)
    try:
        return bool(answer.json()["metadata"]["auth"] == "trusted")
    except (ValueError, KeyError, TypeError) as error:
        raise PlexError(f"{url} is not an Incus server") from error
