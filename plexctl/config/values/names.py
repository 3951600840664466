"""Names: of plexes, domains, devices and other objects."""

from __future__ import annotations

import re

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.model.plex import Role

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
MOST_LABEL, MOST_NAME = 63, 253
"""Characters of a label and of a whole name of DNS (RFC 1035)."""

PLEX_NAME = r"[a-z]([-a-z0-9]{0,8}[a-z])?"
_GROUPS = frozenset({*Role, "all", "ungrouped"})
"""Groups of Ansible's inventory, in which each plex is a group too."""


def parse_plex_name(value: str) -> str:
    """The name of a plex. It ends with a letter, so that plexes cannot have equal node names.

    Its bridge has the name `plex-<name>`; names of interfaces have at most 15 characters.
    """
    if not re.fullmatch(PLEX_NAME, value):
        raise Fault(
            f"'{value}' cannot be the name of a plex",
            "use 1 to 10 characters of a-z, 0-9 and -; the first and the last must be letters",
        )
    if value in _GROUPS:
        raise Fault(
            f"'{value}' cannot be the name of a plex",
            "choose another name: Ansible's inventory has a group with this one",
        )
    return value


def _parse_domain(value: object) -> str:
    domain = text(value)
    if not re.fullmatch(SUBDOMAIN, domain):
        raise Fault(f"'{domain}' is not a DNS domain", "for example cluster.local")
    if len(domain) > MOST_NAME or any(len(label) > MOST_LABEL for label in domain.split(".")):
        raise Fault(
            f"'{domain[:80]}' is too long for a DNS domain",
            f"use at most {MOST_LABEL} characters between dots, and {MOST_NAME} in all",
        )
    return domain


def matching(pattern: str, what: str, hint: str, most: int | None = None) -> Scalar[str]:
    """A text of at most `most` characters that `pattern` matches."""

    def parse(value: object) -> str:
        if not re.fullmatch(pattern, text(value)):
            raise Fault(f"{describe(value)} is not {what}", hint)
        if most is not None and len(str(value)) > most:
            raise Fault(f"'{str(value)[:40]}…' is too long for {what.partition(' ')[2]}", hint)
        return str(value)

    longest = {"maxLength": most} if most is not None else {}
    return Scalar(parse, {"type": "string", "pattern": f"^({pattern})$", **longest})


def _parse_user(value: object) -> str:
    user = text(value)
    if not re.fullmatch(r"[!-9;-~]{1,255}", user):
        raise Fault(f"{describe(value)} is not a user name", "write it without spaces and colons")
    return user


PLAIN = r"[^\x00-\x1f\x7f-\x9f]+"
TEXT = matching(PLAIN, "a text on one line", "remove control characters", 4096)
USER = Scalar(_parse_user, {"type": "string", "pattern": "^[!-9;-~]{1,255}$"})
NAME = matching(
    LABEL,
    "a valid name",
    "use at most 63 of a-z, 0-9 and -; the first and the last must be letters or digits",
    MOST_LABEL,
)
STORAGE = matching(
    r"[A-Za-z0-9][-A-Za-z0-9_.]*",
    "the name of a storage pool",
    "use letters, digits, -, _ and .",
    MOST_LABEL,
)
IMAGE = matching(
    r"[A-Za-z0-9][-A-Za-z0-9_.:/]*", "the name of an image", "for example debian/12", 255
)
DOMAIN = Scalar(_parse_domain, {"type": "string", "pattern": f"^{SUBDOMAIN}$", "maxLength": 253})
INTERFACE = matching(
    r"[A-Za-z0-9][-A-Za-z0-9_.]{0,14}",
    "the name of a network interface",
    "for example br0 or vmbr0",
)
PROJECT = matching(
    r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?",
    "the name of an Incus project",
    "use at most 40 of a-z, 0-9 and -; the first and the last must be letters or digits",
)
PACKAGE = matching(r"[a-z0-9][-a-z0-9+.]+", "a package name", "for example openssh-server", 128)
PCI_ADDRESS = r"([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\.[0-7]"
PCI = matching(
    rf"{PCI_ADDRESS}|[A-Za-z][-A-Za-z0-9_]{{1,127}}",
    "a PCI device",
    "write its address, for example 0000:01:00.0, or on Proxmox the name of a resource mapping",
)
VOLUME = matching(
    LABEL,
    "the name of a volume",
    "use at most 63 of a-z, 0-9 and -, letters or digits at its ends",
    63,
)
NETWORKED = matching(
    PLEX_NAME,
    "a name for a network interface",
    "use 1 to 10 characters of a-z, 0-9 and -; the first and the last must be letters",
)
