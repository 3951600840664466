"""Servers: URLs, SSH logins, and what identifies a server, a client or a file."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from plexctl.config.faults import Fault
from plexctl.config.shape import Scalar, text
from plexctl.config.values.names import MOST_LABEL, MOST_NAME, matching

MOST_PORT = 65535
_SERVER = r"https://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][-A-Za-z0-9_.]*)(:(?P<port>[0-9]+))?/?"
_SSH = r"[a-z_][-a-z0-9_]*@[A-Za-z0-9][-A-Za-z0-9.]*(:(?P<port>[0-9]{1,5}))?"
_URL = r"https?://[!#-&(-;=?-_a-~]+"  # printable ASCII without quotes, <, > and `


def _parse_server(value: object) -> str:
    """The URL of an API: https, a host, perhaps a port, and nothing else."""
    url = text(value)
    hint = "for example https://10.0.0.7:8443"
    match = re.fullmatch(_SERVER, url)
    if not match or not is_host(match["host"]):
        raise Fault(f"'{url}' is not the URL of a server", hint)
    _check_port(match["port"])
    return url


def _parse_url(value: object) -> str:
    url = text(value)
    if not re.fullmatch(_URL, url):
        raise Fault(f"'{url}' is not a URL", "start it with https:// or http://")
    authority = url.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise Fault("must not contain a user name or a password", "remove the part before the @")
    check_authority(url, authority)
    return url


def check_authority(url: str, authority: str) -> None:
    """Fault unless `authority`, the part of `url` after //, is a host and perhaps a port."""
    bracket = authority.startswith("[") and authority.endswith("]")
    host, colon, port = authority.rpartition(":") if not bracket else (authority, "", "")
    if not is_host(host if colon else authority):
        raise Fault(f"'{url}' is not a URL", "write a host name or an address after ://")
    if colon:
        _check_port(port)


def _parse_upstream(value: object) -> str:
    """The URL of a registry. Plain http is for a mirror in a private network, by its address."""
    url = _parse_url(value)
    if url.startswith("http://"):
        host = url.removeprefix("http://").partition("/")[0].partition(":")[0]
        try:
            private = IPv4Address(host).is_private
        except AddressValueError:
            private = False
        if not private:
            raise Fault(
                f"'{url}' is not encrypted",
                "use https://; http:// is for the address of a mirror in a private network",
            )
    return url


def is_host(host: str) -> bool:
    """Whether `host` is a name, an IPv4 address, or an IPv6 address in brackets."""
    if host.startswith("["):
        try:
            IPv6Address(host.strip("[]"))
        except AddressValueError:
            return False
        return True
    if re.fullmatch(r"[0-9.]+", host):
        try:
            IPv4Address(host)
        except AddressValueError:
            return False
        return True
    labels = host.split(".")
    return len(host) <= MOST_NAME and all(
        len(label) <= MOST_LABEL and re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?", label)
        for label in labels
    )


def _check_port(port: str | None) -> None:
    if port is not None and not re.fullmatch(r"[0-9]{1,5}", port):
        raise Fault(f"'{port}' is not a port", "ports are 1 to 65535")
    if port is not None and not 1 <= int(port) <= MOST_PORT:
        raise Fault(f"there is no port {port}", "ports are 1 to 65535")


def _parse_ssh(value: object) -> str:
    login = text(value)
    match = re.fullmatch(_SSH, login)
    if not match:
        raise Fault(f"'{login}' is not an SSH login", "for example root@10.0.0.7")
    if not is_host(login.partition("@")[2].partition(":")[0]):
        raise Fault(f"'{login}' is not an SSH login", "for example root@10.0.0.7")
    _check_port(match["port"])
    return login


HTTPS = Scalar(_parse_server, {"type": "string", "pattern": r"^https://[^/\s@]+(:[0-9]+)?/?$"})
FINGERPRINT = matching(
    r"[0-9a-f]{64}", "a SHA-256 fingerprint", "write 64 hex digits in lower case, without colons"
)
CHECKSUM = matching(
    r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}",
    "a checksum",
    "write sha256: or sha512: and the hex digits in lower case",
)
SSH = Scalar(_parse_ssh, {"type": "string", "pattern": f"^{_SSH.replace('?P<port>', '')}$"})
PROXMOX_TOKEN = matching(
    r"[!-~]+@[-A-Za-z0-9_.]+![A-Za-z][-A-Za-z0-9_.]+",
    "the name of an API token",
    "for example plexctl@pve!lab, without the secret",
)
_URL_SCHEMA = {"type": "string", "pattern": f"^{_URL}$"}
URL = Scalar(_parse_url, _URL_SCHEMA)
UPSTREAM = Scalar(_parse_upstream, _URL_SCHEMA)
