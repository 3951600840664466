"""The inputs of a plan besides the plex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.plex import Node
from plexctl.model.registry import Registry
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.recording import Recording


@dataclass(frozen=True, slots=True)
class Birth:
    """What the masters of a new cluster must agree on: each writes the same database by itself."""

    run: str  # UIDs are made from it
    time: str  # of creation: RFC 3339


@dataclass(frozen=True, slots=True)
class EtcdSnapshot:
    """What etcd of another cluster had: the masters of a new one start from it, without genesis.

    If the cluster `continues`, its workers and their clients do, and nothing is changed. If not,
    revisions go on where no client of the earlier cluster has been, and what is true of the earlier
    cluster only is deleted: leases, and Node objects except those of `nodes`.
    """

    content: bytes = field(repr=False)  # `bootstrap.etcd.Etcd.save`; it holds Secrets
    continues: bool = False
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """How a master joins a cluster that runs."""

    members: tuple[Node, ...]  # of etcd, with itself
    hold: bool = False
    """Whether its controllers wait: those of another master work, and elect no leader with it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The seed of the lab, and facts about hosts and depot."""

    seed: RootSeed
    hosts: Mapping[str, HostSpec]
    facts: Mapping[str, HostFacts]  # by host
    control_plane_images: Mapping[str, str]  # component -> reference
    baked: Mapping[tuple[str, str], str]  # (host, type) -> name of the image
    registry: Registry | None = None  # through which nodes pull images
    recording: Recording | None = None  # of a new cluster's etcd; None: kubeadm creates the objects
    additions: tuple[Addition, ...] = ()  # add-ons that a new cluster is born with
    birth: Birth | None = None  # of a new cluster with several masters
    etcd: EtcdSnapshot | None = None  # what a new cluster takes over, instead of `recording`
    joins: Mapping[str, Join] = field(default_factory=dict)
    """Masters that join a cluster that runs, by name."""
