"""What a plex decides in the contents of etcd, as named holes of the recorded documents."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping

from plexctl.keys.pki import ClusterKeys
from plexctl.model.plex import Plex
from plexctl.plan.kubernetes import kubeadm

HOLE = re.compile(r"\$\{([a-z0-9_.]+)\}")
"""A hole by its name; `${uid:KEY}` is none that a plan fills."""

LATER = ("node.name", "now", "ordinal", "suffix")
"""Holes that are filled for each pod, or on the node."""

WORD = "[0-9A-Za-z]"


def plex_values(plex: Plex, keys: ClusterKeys) -> dict[str, str]:
    """The value of each hole by its name."""
    ca, front = keys.ca.pair.certificate, keys.front_proxy_ca.pair.certificate
    master, networks = kubeadm.master(plex), plex.networks
    return {
        "ca": ca.decode(),
        "ca.base64": base64.b64encode(ca).decode(),
        "front_proxy_ca": front.decode(),
        "endpoint": kubeadm.endpoint(plex),
        "endpoint.address": str(networks.endpoint),
        "master.name": master.name,
        "master.address": str(master.address.ip),
        "plex": plex.name,
        "domain": plex.domain,
        "networks.pods": str(networks.pods),
        "networks.services": str(networks.services),
        "services.api": str(networks.api_service),
        "services.dns": str(networks.dns_service),
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """JSON text in which `values` replace the holes of their names. KeyError for an unknown one."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in values and name in LATER:
            return found[0]
        return json.dumps(values[name])[1:-1]

    return HOLE.sub(value, text)


def digger(values: Mapping[str, str]) -> Callable[[str], str]:
    """The reverse of `fill`: a function that puts holes where a text has one of `values`."""
    return replacer({value: f"${{{name}}}" for name, value in values.items()})


def replacer(words: Mapping[str, str]) -> Callable[[str], str]:
    """A function that replaces each of `words` in a text, the longest first.

    It must be a whole word: 10.96.0.1 is not in 10.96.0.10.
    """
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    pattern = re.compile(
        "|".join(rf"(?<!{WORD})(?<!\d\.){re.escape(word)}(?!{WORD})" for word in longest_first)
        or "(?!)"
    )
    return lambda text: pattern.sub(lambda found: words[found[0]], text)
