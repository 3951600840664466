"""Parsers of single values: node numbers, sizes, names, labels, taints, networks, versions.

Each converts a value of YAML to a value of the model, or raises Fault.
"""

from __future__ import annotations

import os
import re
from fractions import Fraction
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, NetmaskValueError

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.model.gitops import SourceKind
from plexctl.model.plex import Role, Taint

MOST_NODES = 4096
"""The highest node number. The networks of a plex set a lower limit."""

_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40} | {
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?(KiB|MiB|GiB|TiB|kB|MB|GB|TB)"
_RANGE = r" *[0-9]{1,9} *(- *[0-9]{1,9} *)?"
_RANGES = rf"{_RANGE}(,{_RANGE})*"

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"({_SUBDOMAIN}/)?{_PART}"
MOST_LABEL, MOST_NAME = 63, 253
"""Characters of a label and of a whole name of DNS (RFC 1035)."""

MOST_PORT = 65535
MOST_PATH, MOST_FILE_NAME = 1024, 255
_SERVER = r"https://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][-A-Za-z0-9_.]*)(:(?P<port>[0-9]+))?/?"
_SSH = r"[a-z_][-a-z0-9_]*@[A-Za-z0-9][-A-Za-z0-9.]*(:(?P<port>[0-9]{1,5}))?"
_URL = r"https?://[!#-&(-;=?-_a-~]+"  # printable ASCII without quotes, <, > and `
_UNUSABLE = (
    ("an address of no host", "0.0.0.0/8"),
    ("a loopback address", "127.0.0.0/8"),
    ("a link-local address", "169.254.0.0/16"),
    ("an address for documentation", "192.0.2.0/24"),
    ("an address for documentation", "198.51.100.0/24"),
    ("an address for documentation", "203.0.113.0/24"),
    ("a multicast address", "224.0.0.0/4"),
    ("a reserved address", "240.0.0.0/4"),
)
_OWN_ADDRESS = "write the address at which other machines reach it, for example 10.0.0.7"

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

# Kubernetes' own labels that a kubelet may give its node (k8s.io/kubelet/pkg/apis).
_KUBELET_LABELS = frozenset(
    {
        "beta.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")

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


def _parse_numbers(value: object) -> frozenset[int]:
    if isinstance(value, list):
        if not value:
            raise Fault("must not be empty", "name the nodes, or remove the group")
        return frozenset().union(*map(_parse_numbers, value))
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(_RANGES, value):
        raise Fault(f"must be node numbers, not {describe(value)}", 'for example "1-3, 7"')
    numbers: set[int] = set()
    for part in value.split(","):
        first, _, last = part.partition("-")
        start, end = int(first), int(last or first)
        if start < 1:
            raise Fault(f"there is no node {start}", "node numbers start at 1, the master")
        if end < start:
            raise Fault(
                f"{start}-{end} is not a range: it ends before its start",
                f"did you mean {end}-{start}?",
            )
        if end > MOST_NODES:
            raise Fault(f"there is no node {end}", f"node numbers go up to {MOST_NODES}")
        numbers.update(range(start, end + 1))
    return frozenset(numbers)


def _parse_size(value: object) -> int:
    match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
    if not match:
        raise Fault(f"must be a size with a unit, not {describe(value)}", _size_hint(value))
    size = int(Fraction(match[1]) * _UNITS[match[2]])
    if size == 0:
        raise Fault(f"must be greater than 0, not {describe(value)}")
    return size


def _size_hint(value: object) -> str:
    """A hint for sizes such as "2Gi", "2 gib", "2G" and 2, which are common mistakes."""
    written = (
        re.fullmatch(r"([0-9.]+)\s*([kKmMgGtT])i?[bB]?", value) if isinstance(value, str) else None
    )
    if written:
        unit = written[2].upper() + "iB"
        return f"did you mean {written[1]}{unit}?"
    return "for example 512MiB, 2GiB or 1.5GB"


def _parse_label_key(value: object) -> str:
    key = text(value)
    prefix, _, name = key.rpartition("/")
    if not re.fullmatch(_KEY, key) or len(name) > 63 or len(prefix) > 253:
        raise Fault(f"'{key}' is not a valid label key", "for example `disk` or `example.com/disk`")
    reserved = re.fullmatch(r"(.+\.)?(kubernetes|k8s)\.io", prefix)
    allowed = any(prefix == d or prefix.endswith(f".{d}") for d in _KUBELET_DOMAINS)
    if reserved and not allowed and key not in _KUBELET_LABELS:
        raise Fault(
            f"a kubelet may not set the label '{key}' on its own node",
            "use a prefix outside of kubernetes.io and k8s.io, or node.kubernetes.io/…",
        )
    return key


def _parse_label_value(value: object) -> str:
    if value == "":
        return ""
    label = text(value)
    if not re.fullmatch(_PART, label) or len(label) > 63:
        raise Fault(
            f"'{label}' is not a valid label value",
            "use up to 63 characters of A-Z, a-z, 0-9, -, _ and .; the first and the last must be "
            "letters or digits",
        )
    return label


def _parse_taint(value: object) -> Taint:
    taint = text(value)
    match = re.fullmatch(rf"(?P<key>{_KEY})(=(?P<value>({_PART})?))?:(?P<effect>\w+)", taint)
    if not match:
        raise Fault(
            f"'{taint}' is not a valid taint",
            "for example `key=value:NoSchedule` or `key:NoExecute`",
        )
    if match["effect"] not in _EFFECTS:
        raise Fault(
            f"'{match['effect']}' is not a taint effect", f"use one of {', '.join(_EFFECTS)}"
        )
    if len(match["key"].rpartition("/")[2]) > 63 or len(match["value"] or "") > 63:
        raise Fault(f"'{taint}' has a key or a value with more than 63 characters")
    return Taint(match["key"], match["value"] or "", match["effect"])


def _parse_network(value: object) -> IPv4Network:
    written = text(value)
    if "/" not in written:
        raise Fault(
            f"must be a network with its prefix, not '{written}'", "for example 10.64.0.0/24"
        )
    try:
        network = IPv4Network(written, strict=False)
    except (AddressValueError, NetmaskValueError) as error:
        raise Fault(f"'{written}' is not an IPv4 network", "for example 10.64.0.0/24") from error
    if str(network) != written:
        raise Fault(
            f"'{written}' is an address in a network, not a network", f"did you mean {network}?"
        )
    return network


def network(least: int, most: int) -> Scalar[IPv4Network]:
    """An IPv4 network whose prefix has `least` to `most` bits."""

    def parse(value: object) -> IPv4Network:
        found = _parse_network(value)
        if not least <= found.prefixlen <= most:
            raise Fault(f"must be a /{least} to /{most}, not a /{found.prefixlen}")
        unfit = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
        if any(found.overlaps(IPv4Network(range_)) for range_ in unfit):
            raise Fault(
                f"{found} is reserved and cannot be used here", "use a network in 10.0.0.0/8"
            )
        return found

    return Scalar(parse, {"type": "string", "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$"})


def _parse_address(value: object) -> IPv4Address:
    try:
        address = IPv4Address(text(value))
    except AddressValueError as error:
        raise Fault(f"'{value}' is not an IPv4 address", "for example 10.0.0.7") from error
    for kind, range_ in _UNUSABLE:
        if address in IPv4Network(range_):
            raise Fault(f"{address} is {kind}, which no host or router can have", _OWN_ADDRESS)
    return address


def _parse_domain(value: object) -> str:
    domain = text(value)
    if not re.fullmatch(_SUBDOMAIN, domain):
        raise Fault(f"'{domain}' is not a DNS domain", "for example cluster.local")
    if len(domain) > MOST_NAME or any(len(label) > MOST_LABEL for label in domain.split(".")):
        raise Fault(
            f"'{domain[:80]}' is too long for a DNS domain",
            f"use at most {MOST_LABEL} characters between dots, and {MOST_NAME} in all",
        )
    return domain


def _parse_server(value: object) -> str:
    """The URL of an API: https, a host, perhaps a port, and nothing else."""
    url = text(value)
    hint = "for example https://10.0.0.7:8443"
    match = re.fullmatch(_SERVER, url)
    if not match or not _is_host(match["host"]):
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
    host, _, port = authority.rpartition(":") if ":" in authority else (authority, "", "")
    if not _is_host(host):
        raise Fault(f"'{url}' is not a URL", "write a host name or an address after ://")
    if port:
        _check_port(port)
    return url


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


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            IPv6Address(host.strip("[]"))
        except AddressValueError:
            return False
        return True
    return bool(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", host))


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
    _check_port(match["port"])
    return login


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
        scp = re.fullmatch(r"(\w+@[\w.-]+):(?!//)(\S+)", source)
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
    return SourceKind(match[1]), source


def _parse_lab_file(value: object) -> str:
    path = text(value)
    parts = path.removeprefix("./").rstrip("/").split("/")
    if path.startswith("/") or not all(parts) or ".." in parts:
        raise Fault(
            f"must be a path inside of the lab, not '{path}'", "for example clusters/known_hosts"
        )
    if len(path) > MOST_PATH or any(len(os.fsencode(part)) > MOST_FILE_NAME for part in parts):
        raise Fault("is too long for the path of a file", "use a shorter path inside of the lab")
    return "/".join(parts)


def _matching(pattern: str, what: str, hint: str) -> Scalar[str]:
    def parse(value: object) -> str:
        if not re.fullmatch(pattern, text(value)):
            raise Fault(f"'{value}' is not {what}", hint)
        return str(value)

    return Scalar(parse, {"type": "string", "pattern": f"^{pattern}$"})


TEXT = Scalar(text, {"type": "string", "minLength": 1})
NUMBERS = Scalar(
    _parse_numbers,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": f"^{_RANGES}$"},
            {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1},
        ]
    },
)
SIZE = Scalar(_parse_size, {"type": "string", "pattern": f"^{_SIZE}$"})
LABEL_KEY = Scalar(_parse_label_key, {"type": "string", "pattern": f"^{_KEY}$"})
LABEL_VALUE = Scalar(_parse_label_value, {"type": "string", "pattern": f"^({_PART})?$"})
ADDRESS = Scalar(_parse_address, {"type": "string", "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}$"})
TAINT = Scalar(
    _parse_taint,
    {"type": "string", "pattern": f"^{_KEY}(=({_PART})?)?:({'|'.join(_EFFECTS)})$"},
)
VERSION = Scalar(
    _parse_version,
    {"anyOf": [{"type": "string", "pattern": r"^[0-9]+\.[0-9]+(\.[0-9]+)?$"}, {"type": "number"}]},
)
NAME = _matching(
    _LABEL,
    "a valid name",
    "use a-z, 0-9 and -; the first and the last must be letters or digits",
)
DOMAIN = Scalar(_parse_domain, {"type": "string", "pattern": f"^{_SUBDOMAIN}$", "maxLength": 253})
INTERFACE = _matching(
    r"[A-Za-z0-9][-A-Za-z0-9_.]{0,14}",
    "the name of a network interface",
    "for example br0 or vmbr0",
)
HTTPS = Scalar(_parse_server, {"type": "string", "pattern": r"^https://[^/\s@]+(:[0-9]+)?/?$"})
FINGERPRINT = _matching(
    r"[0-9a-f]{64}", "a SHA-256 fingerprint", "write 64 hex digits in lower case, without colons"
)
CHECKSUM = _matching(
    r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}",
    "a checksum",
    "write sha256: or sha512: and the hex digits in lower case",
)
SSH = Scalar(_parse_ssh, {"type": "string", "pattern": f"^{_SSH.replace('?P<port>', '')}$"})
PROXMOX_TOKEN = _matching(
    r"[^\s@!]+@[^\s@!]+![^\s@!=]+",
    "the name of an API token",
    "for example plexctl@pve!lab, without the secret",
)
PACKAGE = _matching(r"[a-z0-9][-a-z0-9+.]+", "a package name", "for example openssh-server")
PATH = _matching(r"/.*", "an absolute path", "start it with /")
NETWORKED = _matching(
    PLEX_NAME,
    "a name for a network interface",
    "use 1 to 10 characters of a-z, 0-9 and -; the first and the last must be letters",
)
APP_SOURCE = Scalar(
    _parse_app_source,
    {"type": "string", "pattern": r"^(registry|(ssh|https|oci)://[^/\s]+/\S+)$"},
)
LAB_FILE = Scalar(_parse_lab_file, {"type": "string", "pattern": "^[^/]"})
_URL_SCHEMA = {"type": "string", "pattern": f"^{_URL}$"}
URL = Scalar(_parse_url, _URL_SCHEMA)
UPSTREAM = Scalar(_parse_upstream, _URL_SCHEMA)
