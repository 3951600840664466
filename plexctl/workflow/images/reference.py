"""Record what a new cluster of a version of Kubernetes starts with, from a reference cluster."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from plexctl.bake.builder import BakedImage
from plexctl.bake.cleanup import sweep, temporary_tags
from plexctl.bake.lock import BakeLock
from plexctl.bootstrap.cluster import cluster
from plexctl.bootstrap.rest import Rest, delete_tokens
from plexctl.bootstrap.wait import ClusterConditions
from plexctl.clients.hosts import incus_hosts
from plexctl.clients.routes import local_routes
from plexctl.config.build import api_port
from plexctl.errors import PlexError
from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import SEED_LENGTH, RootSeed
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Step
from plexctl.model.host import Host
from plexctl.model.observed import HostState
from plexctl.model.plex import ApiForward, Node, Plex
from plexctl.model.secret import Secret
from plexctl.model.types import NodeType
from plexctl.plan.genesis.holes import plex_values
from plexctl.plan.genesis.names import ALPHABET
from plexctl.plan.genesis.record import require_neutral
from plexctl.plan.genesis.recording import committed
from plexctl.plan.genesis.reference import reference_networks, reference_plex
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import DiffOptions
from plexctl.provision.engine import ApplyJob
from plexctl.provision.overlaps import used_networks
from plexctl.workflow.core.clock import require_clock
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run
from plexctl.workflow.images.recordings import Committed, Place, read, store, unrecorded

DEADLINE = 120.0
"""Seconds for each wait of a recording: on two busy cores all of them take twelve."""

RECORDING = "recording"
"""What the tags of a reference cluster say that it is for."""

INITIALISED = ("test", "-e", "/var/lib/plexctl/initialised")
"""A master has this file once `kubeadm init` has ended."""


class _Unreported:
    """A reporter for a reference cluster: its nodes are not in the timeline of the lab."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[Step]:
        self._step.progress(title)
        yield self._step

    def mark(self, node: str, what: str) -> None:
        """Nothing: the node is not one of the lab."""


def record_missing(
    ctx: Context,
    wanted: Mapping[tuple[str, str], NodeType],
    images: Mapping[tuple[str, str], BakedImage],
    kubernetes: str,
    run: Run,
    committed: Committed = committed,
) -> None:
    """Make the recordings that plexes need and that are missing, once their `images` are there.

    A cluster without one boots more slowly, and is the same: so a failure is only noted.
    """
    for name, place in unrecorded(ctx, wanted, kubernetes, committed).items():
        why = "there is no container of Incus on a host where the lab can create networks"
        if place is not None:
            if place.image not in images:
                continue  # its host does not answer
            try:
                _record_once(ctx, place, images[place.image].name, kubernetes, name, run)
            except PlexError as error:
                why = ": ".join((error.summary, *error.details[:1]))
            else:
                continue
        run.note(
            f"no recording of Kubernetes {kubernetes} for new clusters, which boot as with "
            f"`genesis: false`: {why}"
        )


def record(ctx: Context, place: Place, image: str, kubernetes: str, run: Run) -> dict[str, Any]:
    """Create a reference cluster, and delete it; what is in its etcd at rest.

    Like all that a bake creates, its objects are tagged: the next bake deletes what a killed one
    leaves. Its keys are of a seed that nothing else has, and that is forgotten.
    """
    with _alone(ctx, place.host, run):
        return _recorded(ctx, place, image, kubernetes, run)


def _record_once(
    ctx: Context, place: Place, image: str, kubernetes: str, name: str, run: Run
) -> None:
    """Store the recording `name`, unless another bake does so while this one waits for it."""
    with _alone(ctx, place.host, run):
        if read(ctx, name) is None:
            store(ctx, name, _recorded(ctx, place, image, kubernetes, run))


def _alone(ctx: Context, host: str, run: Run) -> AbstractContextManager[object]:
    """No other bake runs on the host, and at the end everything temporary is deleted there."""
    incus = incus_hosts(ctx.hosts)[host]
    sweep_all = partial(sweep, incus, ctx.seed.lab_id)
    return BakeLock(ctx.cache / "bake", host, sweep_all, run).alone()


def _recorded(ctx: Context, place: Place, image: str, kubernetes: str, run: Run) -> dict[str, Any]:
    """The recorded documents of a new reference cluster, whose objects the caller deletes."""
    title = f"record what a new cluster of Kubernetes {kubernetes} starts with"
    with run.step(title, expect="about 15 s") as step:
        seed = RootSeed(Secret(os.urandom(SEED_LENGTH)))
        state = ctx.engine.read((place.host,))[place.host]
        if state.unreachable:
            raise state.unreachable
        plex = _plex(ctx, place, kubernetes, state)
        require_clock(plex.name)
        plan = plan_plex(
            plex,
            Inputs(
                seed,
                ctx.lab.hosts,
                {place.host: ctx.hosts[place.host].facts()},
                ctx.pins.release(kubernetes).images,
                {(place.host, plex.type.name): image},
            ),
        )
        _create(ctx, plan, state, Owner(seed.lab_id, plex.name), step)
        return _documents(ctx, plan, seed, step)


def _plex(ctx: Context, place: Place, kubernetes: str, state: HostState) -> Plex:
    """A reference cluster under a name and in networks that its host does not have."""
    spec = ctx.lab.hosts[place.host]
    networks = reference_networks(used_networks(state, local_routes() if spec.local else ()))
    forward = None
    if not spec.local:
        assert spec.address is not None, spec.name  # the configuration is checked
        forward = ApiForward(spec.address, api_port(networks), spec.ssh)
    name = "rec-" + "".join(secrets.choice(ALPHABET) for _ in range(6))
    return reference_plex(name, kubernetes, place.node_type, place.host, networks, forward)


def _create(ctx: Context, plan: Plan, state: HostState, owner: Owner, step: Step) -> None:
    states = {state.host: state}
    changes = ctx.engine.diff(plan.resources, states, DiffOptions(owner))
    tags = temporary_tags(RECORDING)
    job = ApplyJob(plan.resources, changes, states, RECORDING, _Unreported(step), tags=tags)
    ctx.engine.apply(job)


def _documents(ctx: Context, plan: Plan, seed: RootSeed, step: Step) -> dict[str, Any]:
    """The recorded documents of a reference cluster, once it is at rest."""
    plex, reporter = plan.plex, _Unreported(step)
    values = plex_values(plex, ClusterKeys.derive(seed, plex.name, plex.epoch))
    with cluster(plex, seed, super_admin=True) as kube:
        conditions = ClusterConditions(plex, plan.nodes, kube, ctx.hosts, reporter)
        for condition in (
            conditions.api_answers(),
            conditions.dns_answers(()),
            _initialised(plan.nodes[0], ctx.hosts[plan.nodes[0].host]),
        ):
            step.progress(condition.title)
            wait(replace(condition, deadline=DEADLINE))
        delete_tokens(kube)
        rest = Rest(kube, values)
        at_rest = rest.condition(plex.name)
        step.progress(at_rest.title)
        wait(at_rest)
    require_neutral(rest.recorded, values)
    return rest.recorded


def _initialised(master: Node, host: Host) -> Condition:
    """`kubeadm init` has ended on a master."""

    def probe() -> Observation:
        return Observation(host.execute(master.name, INITIALISED).code == 0)

    return Condition(f"kubeadm init has ended on {master.name}", probe, DEADLINE, every=0.2)
