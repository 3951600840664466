"""Numbers of nodes, and the labels and taints of Node objects."""

from __future__ import annotations

import re

from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar, text
from plexctl.config.values.names import SUBDOMAIN
from plexctl.model.plex import Taint

MOST_NODES = 4096
"""The highest node number. The networks of a plex set a lower limit."""

_RANGE = r" *[0-9]{1,9} *(- *[0-9]{1,9} *)?"
_RANGES = rf"{_RANGE}(,{_RANGE})*"
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"({SUBDOMAIN}/)?{_PART}"

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
            raise Fault(f"there is no node {start}", "node numbers start at 1, a master")
        if end < start:
            raise Fault(
                f"{start}-{end} is not a range: it ends before its start",
                f"did you mean {end}-{start}?",
            )
        if end > MOST_NODES:
            raise Fault(f"there is no node {end}", f"node numbers go up to {MOST_NODES}")
        numbers.update(range(start, end + 1))
    return frozenset(numbers)


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
    match = re.fullmatch(rf"(?P<key>{_KEY})(=(?P<value>({_PART})?))?:(?P<effect>[A-Za-z]+)", taint)
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
LABEL_KEY = Scalar(_parse_label_key, {"type": "string", "pattern": f"^{_KEY}$"})
LABEL_VALUE = Scalar(_parse_label_value, {"type": "string", "pattern": f"^({_PART})?$"})
TAINT = Scalar(
    _parse_taint,
    {"type": "string", "pattern": f"^{_KEY}(=({_PART})?)?:({'|'.join(_EFFECTS)})$"},
)
