"""A set of objects that a cluster is born with: Kubernetes' own, or those of an add-on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plexctl.plan.documents import Document


@dataclass(frozen=True, slots=True)
class Addition:
    """Objects by the keys under which the API server stores them, and templates of pods.

    A template belongs to a ReplicaSet, StatefulSet or DaemonSet among the objects, which its
    ownerReferences name. Its `${node.name}`, `${ordinal}` and `${suffix}` are filled for each pod.
    The node fills `${uid:KEY}` and `${now}`, and writes `${{` as `${`.
    """

    objects: Mapping[str, Document] = field(repr=False)  # some hold keys
    pods: Mapping[str, Document] = field(repr=False)
