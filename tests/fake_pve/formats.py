"""The named formats and property strings of the schema, with PVE's words for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address, ip_interface
from typing import Any

VOLUME = re.compile(r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]:\S+")
MAC = re.compile(r"[a-fA-F0-9][02468aceACE](:[a-fA-F0-9]{2}){5}")


def _matches(pattern: str, complaint: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)
    return lambda value: "" if compiled.fullmatch(value) else complaint


def _address(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        return f"value does not look like a valid IP address: {value}"
    return ""


def _ip_or_word(version: int, words: set[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value in words:
            return ""
        try:
            right = "/" in value and ip_interface(value).version == version
        except ValueError:
            right = False
        return (
            "" if right else f"value does not look like a valid ipv{version} network configuration"
        )

    return check


def _volume(*words: str, path: bool = True) -> Callable[[str], str]:
    def check(value: str) -> str:
        right = value in words or (path and value.startswith("/")) or VOLUME.fullmatch(value)
        return "" if right else f"unable to parse volume ID '{value}'"

    return check


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
SCALAR: dict[str, Callable[[str], str]] = {
    "pve-vmid": _matches(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "pve-node": _matches(_LABEL, "value does not look like a valid node name"),
    "pve-configid": _matches(r"[A-Za-z][\w-]+", "invalid configuration ID"),
    "pve-storage-id": _matches(
        r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]", "storage ID contains illegal characters"
    ),
    "pve-bridge-id": _matches(r"[A-Za-z0-9_.\-]{1,15}", "invalid bridge name"),
    "pve-poolid": _matches(
        r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}", "value does not look like a valid poolid"
    ),
    "pve-tag": _matches(r"[A-Za-z0-9_][A-Za-z0-9_+.\-]*", "invalid characters in tag"),
    "pve-userid": _matches(
        r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid user name"
    ),
    "dns-name": _matches(rf"{_LABEL}(\.{_LABEL})*", "value does not look like a valid DNS name"),
    "mac-addr": lambda value: (
        "" if MAC.fullmatch(value) else "value does not look like a valid unicast MAC address"
    ),
    "disk-size": _matches(r"\d+(\.\d+)?[KMGT]?", "value does not look like a valid disk size"),
    "urlencoded": _matches(r"[-%A-Za-z0-9_.!~*'()]*", "invalid urlencoded string"),
    "ip": _address,
    "address": lambda value: _address(value) and SCALAR["dns-name"](value),
    "ipv4": _address,
    "ipv6": _address,
    "pve-ipv4-config": _ip_or_word(4, {"dhcp", "manual"}),
    "pve-ipv6-config": _ip_or_word(6, {"auto", "dhcp", "manual"}),
    "pve-volume-id": _volume(path=False),
    "pve-volume-id-or-qm-path": _volume("none", "cdrom"),
    "pve-volume-id-or-absolute-path": _volume(),
    "pve-lxc-mp-string": _volume(),
}

# What the capture names but does not spell out, or spells out only for humans.
NAMED: dict[str, dict[str, Any]] = {
    "pve-qm-ipconfig": {
        "ip": {"type": "string", "format": "pve-ipv4-config", "optional": 1},
        "gw": {"type": "string", "format": "ipv4", "optional": 1, "requires": "ip"},
        "ip6": {"type": "string", "format": "pve-ipv6-config", "optional": 1},
        "gw6": {"type": "string", "format": "ipv6", "optional": 1, "requires": "ip6"},
    },
    "pve-qm-boot": {
        "legacy": {"type": "string", "default_key": 1, "optional": 1, "pattern": "[acdn]{1,4}"},
        "order": {"type": "string", "optional": 1},
    },
    "pve-qm-cicustom": {
        key: {"type": "string", "format": "pve-volume-id", "optional": 1}
        for key in ("meta", "network", "user", "vendor")
    },
}


@cache
def from_typetext(text: str) -> dict[str, Any]:
    """A format read out of how the API's viewer shows it: `[[key=]<kind>] [,key=<kind>]`."""
    found: dict[str, Any] = {}
    for position, match in enumerate(re.finditer(r"([a-z][\w-]*)=(\]?)<([^>]*)>", text)):
        key, default, kind = match.groups()
        rule: dict[str, Any] = {"type": "string"}
        if kind in {"1|0", "integer"}:
            rule["type"] = "boolean" if kind == "1|0" else "integer"
        elif re.fullmatch(r"[a-z]\w*(\|[a-z]\w*)+", kind):
            rule["enum"] = kind.split("|")
        if default:
            rule["default_key"] = 1
        if position or text.startswith(("[[", "[,")) or not default:
            rule["optional"] = 1
        found[key] = rule
    return found


def parse_property_string(text: str, schema: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """The keys and values of `a,key=b`, and the first complaint about its form."""
    default = next((key for key, rule in schema.items() if rule.get("default_key")), None)
    values: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            if default is None:
                return values, "value without key, but schema does not define a default key"
            key, value = default, part
        rule = schema.get(key, {})
        if "keyAlias" in rule:
            values[rule["keyAlias"]] = key
        key = rule.get("alias", key)
        if key in values:
            return values, f"duplicate key in comma-separated list property: {key}"
        values[key] = value
    return values, ""
