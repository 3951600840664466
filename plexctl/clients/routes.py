"""The IPv4 routes of this machine, from the kernel."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from plexctl.model.routes import Route

# From linux/netlink.h and linux/rtnetlink.h.
REQUEST, DUMP = 0x1, 0x300
DONE, NEW_ROUTE, GET_ROUTE = 3, 24, 26
UNICAST = 1  # a type of routes; others are of the machine's own addresses, for example
FROM_KERNEL = 2  # the origin of a route that an address of an interface has created
DESTINATION, INTERFACE = 1, 4  # attributes
HEADER, MESSAGE, ATTRIBUTE = struct.Struct("=LHHLL"), struct.Struct("=8BL"), struct.Struct("=HH")


def local_routes() -> tuple[Route, ...]:
    """All unicast routes but default routes, of every table. Empty if the kernel lists none."""
    try:
        return tuple(_routes())
    except (OSError, struct.error):
        return ()


def has_interface(name: str) -> bool:
    """Whether this machine has a network interface of this name."""
    try:
        return bool(socket.if_nametoindex(name))
    except OSError:
        return False


def _routes() -> Iterator[Route]:
    question = MESSAGE.pack(socket.AF_INET, *[0] * 7, 0)
    size = HEADER.size + len(question)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(1)
        kernel.send(HEADER.pack(size, GET_ROUTE, REQUEST | DUMP, 1, 0) + question)
        while True:
            left = kernel.recv(1 << 18)
            while left:
                length, kind, *_ = HEADER.unpack_from(left)
                if kind != NEW_ROUTE:  # DONE, or an error
                    return
                yield from _route(left[HEADER.size : length])
                left = left[_aligned(length) :]


def _route(message: bytes) -> Iterator[Route]:
    _, prefix, _, _, _, origin, _, kind, _ = MESSAGE.unpack_from(message)
    attributes = dict(_attributes(message[MESSAGE.size :]))
    if kind == UNICAST and prefix and INTERFACE in attributes:
        network = IPv4Network((int(IPv4Address(attributes[DESTINATION])), prefix))
        number = struct.unpack("=L", attributes[INTERFACE])[0]
        yield Route(network, socket.if_indextoname(number), origin == FROM_KERNEL)


def _attributes(left: bytes) -> Iterator[tuple[int, bytes]]:
    while left:
        length, kind = ATTRIBUTE.unpack_from(left)
        yield kind, left[ATTRIBUTE.size : length]
        left = left[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
