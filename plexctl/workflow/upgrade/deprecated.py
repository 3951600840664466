"""APIs that clients have used and that a later version does not have any more. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from plexctl.workflow.upgrade.skew import numbers

METRIC = "apiserver_requested_deprecated_apis"
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class DeprecatedApi:
    """A kind of objects that was requested since the API server was started."""

    resource: str  # "flowschemas"
    version: str  # "flowcontrol.apiserver.k8s.io/v1beta3"
    removed: str  # "1.32"


def removed_apis(metrics: str, version: str) -> tuple[DeprecatedApi, ...]:
    """The APIs in use that `version` lacks. `metrics` is the text at /metrics of an API server.

    The metric stays until the API server is started again, also after its clients have changed.
    """
    found = {one for one in _requested(metrics) if numbers(one.removed)[:2] <= numbers(version)[:2]}
    return tuple(sorted(found, key=lambda one: (one.version, one.resource)))


def _requested(metrics: str) -> Iterator[DeprecatedApi]:
    for line in metrics.splitlines():
        if not line.startswith(f"{METRIC}{{") or line.endswith(" 0"):
            continue
        labels = dict(_LABEL.findall(line))
        if re.fullmatch(r"\d{1,4}\.\d{1,4}", labels.get("removed_release", "")):
            group = labels.get("group", "")
            version = "/".join(filter(None, (group, labels.get("version", ""))))
            yield DeprecatedApi(labels.get("resource", ""), version, labels["removed_release"])
