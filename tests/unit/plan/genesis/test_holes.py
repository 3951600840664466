"""Holes of the recorded documents, and the values that a plex puts into them."""

from __future__ import annotations

import json

import pytest

from plexctl.plan.genesis.holes import digger, fill

VALUES = {
    "ca": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
    "domain": "lab.example",
    "endpoint": "10.1.0.11:6443",
    "master.address": "10.1.0.11",
    "master.name": "demo1",
    "plex": "demo",
    "networks.services": "10.2.0.0/16",
    "services.api": "10.2.0.1",
    "services.dns": "10.2.0.10",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://10.1.0.11:6443", "https://${endpoint}"),
        ("10.1.0.11", "${master.address}"),
        ("10.2.0.10", "${services.dns}"),
        ("/registry/ipaddresses/10.2.0.1", "/registry/ipaddresses/${services.api}"),
        ("dns.lab.example.", "dns.${domain}."),
        ("demo1 of demo", "${master.name} of ${plex}"),
        ("demo12, demonstration, 110.2.0.1, 10.2.0.123", None),
        (VALUES["ca"], "${ca}"),
    ],
)
def test_values_become_holes_where_they_are_whole_words(text: str, expected: str | None) -> None:
    dug = digger(VALUES)(text)

    assert dug == (expected or text)
    assert json.loads(fill(json.dumps(dug), VALUES)) == text


def test_holes_of_the_node_stay_and_an_unknown_one_is_an_error() -> None:
    text = '"${now} ${uid:/registry/pods/a} ${suffix}"'

    assert fill(text, VALUES) == text
    with pytest.raises(KeyError):
        fill('"${network}"', VALUES)
