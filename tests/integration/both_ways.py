"""The objects of a cluster that has come to rest, and their differences from those of another."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from plexctl.model.condition import Condition, Observation, wait

from .support import CHECKOUT, Lab

LIVE = ("events", "leases", "componentstatuses")
"""Objects that count, or that are written all the time."""

MOMENTARY = ("resources", "f:resources", "f:lastHeartbeatTime", "f:lastTransitionTime", "history")
"""Of a status: what is there once a kubelet has read the cgroup of a container, or has reported
twice; and how long each of Flux' reconciliations took."""

ENDPOINTS = re.compile(r"/registry/(services/endpoints|endpointslices)/")
"""Their annotations depend on which comes first: a Service, or the address of its pod. So does the
order of the endpoints on which of two pods is Ready first."""

LOOKS = 6

Objects = dict[str, Any]
"""Every object of a cluster, by its key in etcd."""


def grow(lab: Lab, settings: Mapping[str, str]) -> None:
    """Create the plexes of `settings`, whose objects kubeadm and the controllers create."""
    for plex, text in settings.items():
        _file(lab, plex).write_text(f"{text}genesis: false\n")
        lab.run("up", plex, timeout=3600)


def bear(lab: Lab, settings: Mapping[str, str]) -> None:
    """Replace these plexes by born ones."""
    for plex, text in settings.items():
        _file(lab, plex).write_text(text)
        assert lab.ask("plan", plex)["changes"] == []  # it matters to a new cluster only
        lab.run("replace", "master", "-y", "--plex", plex)


def _file(lab: Lab, plex: str) -> Path:
    return lab.root / "clusters" / plex / "plex.yaml"


def all_at_rest(lab: Lab, plexes: Iterable[str]) -> dict[str, Objects]:
    """The objects of each plex. They come to rest at the same time."""
    names = tuple(plexes)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda plex: at_rest(lab, plex), names)
        return dict(zip(names, found, strict=True))


def at_rest(lab: Lab, plex: str) -> Objects:
    """The objects of `plex` once nothing has changed for a minute.

    The last ones to act are kubelets, which report again, and the controller that deletes kubeadm's
    token after a minute.
    """
    seen: list[Objects] = [{}]

    def probe() -> Observation:
        seen.append(objects(lab, plex))
        changed = differences(seen[-2], seen[-1])
        if changed:
            del seen[:-1]
        return Observation(len(seen) > LOOKS, "; ".join(changed[:5]))

    wait(Condition(f"the cluster {plex} is at rest", probe, 400, every=10))
    return seen[-1]


def objects(lab: Lab, plex: str) -> Objects:
    done = subprocess.run(
        [CHECKOUT / "bin" / "genesis", "objects", plex, "-C", lab.root],
        env={**os.environ, "XDG_CONFIG_HOME": str(lab.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: Objects = json.loads(done.stdout)
    for key, one in found.items():
        if ENDPOINTS.match(key):
            # The controller writes null while no pod of the service is ready.
            (one.get("endpoints") or []).sort(key=lambda each: str(each.get("nodeName")))
            one["metadata"].pop("annotations", None)
            for manager in one["metadata"].get("managedFields", ()):
                manager["fieldsV1"].get("f:metadata", {}).pop("f:annotations", None)
    return {key: lasting(one) for key, one in found.items() if key.split("/")[2] not in LIVE}


def lasting(value: object, *, status: bool = False) -> Any:
    """`value` without the fields of a status that depend on when a kubelet has looked."""
    match value:
        case dict():
            kept = {}
            for key, one in value.items():
                left = lasting(one, status=status or key in ("status", "f:status"))
                momentary = status and key in MOMENTARY
                if not momentary and (left or not one):
                    kept[key] = left
            return kept
        case list():
            return [lasting(one, status=status) for one in value]
    return value


def differences(one: object, other: object, place: str = "") -> list[str]:
    """The places where two documents differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [
            found
            for key in sorted(one.keys() | other.keys())
            for found in differences(one.get(key), other.get(key), f"{place} {key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for i, two in pairs for found in differences(*two, f"{place}[{i}]")]
    return [] if one == other else [f"{place}: {one!r} is {other!r}"]
