"""Networks and addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from plexctl.config.faults import Fault
from plexctl.config.shape import Scalar, text
from plexctl.config.values.names import parse_plex_name

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

_PRIVATE = tuple(
    IPv4Network(range_)
    for range_ in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # between carriers and their customers
        "198.18.0.0/15",  # of benchmarks
    )
)


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


def is_private(found: IPv4Network) -> bool:
    """Whether no address of a network belongs to a machine on the Internet."""
    return any(found.subnet_of(range_) for range_ in _PRIVATE)


def public_fault(found: IPv4Network) -> Fault:
    """The fault of a network that plexctl would create over addresses of others."""
    return Fault(
        f"{found} has addresses of machines on the Internet, which the nodes could not reach",
        "use a network in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
    )


def network(least: int, most: int, *, public: bool = False) -> Scalar[IPv4Network]:
    """An IPv4 network whose prefix has `least` to `most` bits; `public`: public ones too."""

    def parse(value: object) -> IPv4Network:
        found = _parse_network(value)
        if not least <= found.prefixlen <= most:
            raise Fault(f"must be a /{least} to /{most}, not a /{found.prefixlen}")
        for kind, range_ in _UNUSABLE:
            if found.overlaps(IPv4Network(range_)):
                raise Fault(
                    f"{found} contains {kind}, which no node can have",
                    "use a network in 10.0.0.0/8",
                )
        if not public and not is_private(found):
            raise public_fault(found)
        return found

    return Scalar(parse, {"type": "string", "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$"})


def _parse_peer(value: object) -> str | IPv4Network:
    """The name of a plex, or a network with any prefix."""
    if isinstance(value, str) and value[:1].isdigit():
        return _parse_network(value)
    return parse_plex_name(text(value))


def _parse_address(value: object) -> IPv4Address:
    try:
        address = IPv4Address(text(value))
    except AddressValueError as error:
        raise Fault(f"'{value}' is not an IPv4 address", "for example 10.0.0.7") from error
    for kind, range_ in _UNUSABLE:
        if address in IPv4Network(range_):
            raise Fault(f"{address} is {kind}, which no host or router can have", _OWN_ADDRESS)
    return address


ADDRESS = Scalar(_parse_address, {"type": "string", "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}$"})
PEER = Scalar(_parse_peer, {"type": "string", "minLength": 1})
