"""`isolation` of a plex: who may connect to it."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.config.networks import default_networks

from .labs import VERSIONS, faults, lab

EAST = "networks: {nodes: 10.1.0.0/24, pods: 10.2.0.0/16}\n"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("workers: 1", ()),
        ("isolation: true", ()),
        ("isolation: on", ()),
        ("isolation: off", None),
        ("isolation: {allow: [east]}", (IPv4Network("10.1.0.0/24"), IPv4Network("10.2.0.0/16"))),
        (
            "isolation: {allow: [192.168.1.0/24, west]}",
            (
                IPv4Network("192.168.1.0/24"),
                default_networks("west").nodes,
                default_networks("west").pods,
            ),
        ),
    ],
)
def test_the_networks_that_may_connect(
    tmp_path: Path, text: str, allowed: tuple[IPv4Network, ...] | None
) -> None:
    root = lab(
        tmp_path,
        clusters__demo__plex=f"{text}\n",
        clusters__east__plex=EAST,
        clusters__west__plex="workers: 0\n",
    )

    plexes = load_lab(root, VERSIONS).plexes
    assert plexes["demo"].allowed == allowed
    assert plexes["east"].allowed == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "isolation: {allow: [west, eats]}",
            "isolation.allow[1]: there is no plex eats (did you mean `east`?)",
        ),
        (
            "isolation: {allow: [demo]}",
            "isolation.allow[0]: is this plex, which may always connect (remove it)",
        ),
        (
            "isolation: {allow: [10.0.0.7/8]}",
            "isolation.allow[0]: ",
        ),
        ("isolation: {allow: [10.0.0.300/24]}", "isolation.allow[0]: "),
        ("isolation: {allow: [7]}", "isolation.allow[0]: must be text, not 7"),
        ("isolation: {allow: []}", "isolation.allow: must not be empty"),
        ("isolation: {}", "isolation.allow: is required"),
        (
            "isolation: {alow: [west], allow: [west]}",
            "isolation.alow: unknown field (did you mean `allow`?)",
        ),
        (
            "isolation: [west]",
            "isolation: must be true, false, or a mapping with allow, not a list",
        ),
        ("isolation: none", "isolation: must be true, false, or a mapping with allow, not 'none'"),
        ("isolation:", "isolation: must be true, false, or a mapping with allow, not "),
    ],
)
def test_a_wrong_value_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    root = lab(
        tmp_path,
        clusters__demo__plex=f"{text}\n",
        clusters__east__plex=EAST,
        clusters__west__plex="workers: 0\n",
    )

    found = faults(root)
    assert found[0].startswith(f"clusters/demo/plex.yaml:1 {message}"), found


@pytest.mark.parametrize("text", ["true", "false", "{allow: [10.9.0.0/16]}"])
def test_a_bridge_of_the_hosts_has_no_isolation_of_its_own(tmp_path: Path, text: str) -> None:
    """plexctl would promise what it does not do."""
    root = lab(
        tmp_path,
        clusters__hosts="hosts: {local: {bridge: br0}}\n",
        clusters__demo__plex="networks: {link: bridge, nodes: 10.0.8.0/24, router: 10.0.8.1}\n"
        f"isolation: {text}\n",
    )

    assert faults(root) == [
        "clusters/demo/plex.yaml:2 isolation: does not apply to `link: bridge`: the network of the "
        "hosts decides who may connect (remove it, and separate the nodes with `vlan` or with a "
        "firewall of that network)"
    ]
