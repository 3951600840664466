"""The lab's registry as a step of a run on a plex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plexctl.bake.builder import BakedImage
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.command import CommandResult
from plexctl.model.observed import (
    HostState,
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.registry import TYPE
from plexctl.model.resources import Key
from plexctl.model.routes import Route
from plexctl.model.secret import Secret
from plexctl.plan.resources.types import Instance, Network, Profile, Resource, Volume, resource_hash
from plexctl.provision.change import Action, Change, DiffOptions
from plexctl.provision.diff import diff
from plexctl.provision.engine import ApplyJob
from plexctl.results.registry import RegistryRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.plex.lookup import destroyable_plex
from plexctl.workflow.registry import networks, verbs
from plexctl.workflow.registry import plan as registry_plan
from tests.fake_incus import FakeIncus

NETWORK = IPv4Network("10.64.63.0/24")
IMAGE = "plex-registry-0123456789ab"


class Incus(FakeIncus):
    """A host whose registry has something on its disk."""

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        assert argv[0] == "du"
        return CommandResult(argv, 0, f"{5 << 20}\t/var/lib/registry\n", "")


@dataclass
class Engine:
    """Applies changes in memory."""

    resources: dict[Key, Resource] = field(default_factory=dict)
    reads: int = 0
    applied: list[Change] = field(default_factory=list)
    others: dict[str, ObservedNetwork] = field(default_factory=dict)  # networks of other labs
    clock_offset: float = 0.0

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        self.reads += 1
        image = ObservedImage("abc", (IMAGE,), {}, 1)
        instances: dict[str, ObservedInstance] = {}
        networks = dict(self.others)
        profiles: dict[str, ObservedProfile] = {}
        volumes: dict[str, ObservedVolume] = {}
        for one in self.resources.values():
            name = one.name
            tags = {"lab": one.owner.lab, "plex": one.owner.plex, "hash": resource_hash(one)}
            match one:
                case Instance():
                    instances[name] = ObservedInstance(name, "Running", tags, True, "abc", "u")
                case Network():
                    networks[name] = ObservedNetwork(name, tags, (NETWORK,))
                case Profile():
                    profiles[name] = ObservedProfile(name, tags)
                case Volume():
                    volumes[name] = ObservedVolume(name, tags)
        state = HostState("local", instances, networks, profiles, (image,), volumes)
        return {"local": replace(state, clock_offset=self.clock_offset)}

    def diff(
        self, resources: Sequence[Resource], states: Mapping[str, HostState], options: DiffOptions
    ) -> tuple[Change, ...]:
        return diff(resources, states, options)

    def apply(self, job: ApplyJob) -> None:
        self.applied += job.changes
        for change in job.changes:
            if change.resource is None:
                del self.resources[change.key]
            else:
                self.resources[change.key] = change.resource


class FakeRegistry:
    """A registry that answers at the third probe."""

    probes = 0

    def ping(self) -> None:
        FakeRegistry.probes += 1
        if FakeRegistry.probes < 3:
            raise PlexError("not yet")

    def repositories(self) -> tuple[str, ...]:
        return ("apps/demo", "docker.io/library/nginx")


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ctx(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Context:
    (tmp_path / "clusters").mkdir()
    hosts = tmp_path / "clusters" / "hosts.yaml"
    hosts.write_text("hosts: {local: {}}\nregistry: {name: depot}\n")
    pins = load_pins(architecture="amd64")
    lab = load_lab(tmp_path, pins.versions())
    seed = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))
    baked = {("local", TYPE): BakedImage(IMAGE, "abc", changed=False)}
    monkeypatch.setattr(verbs, "bake_types", lambda *_: baked)
    monkeypatch.setattr(verbs, "registry_images", lambda _: {("local", TYPE): IMAGE})
    monkeypatch.setattr(verbs, "registry_client", lambda *_: FakeRegistry())
    monkeypatch.setattr(FakeRegistry, "probes", 0)
    monkeypatch.setattr(networks, "local_routes", lambda: ())
    return Context(lab, seed, pins, {"local": Incus()}, engine, tmp_path / "cache", lambda _: None)


@pytest.fixture
def run(ctx: Context) -> Iterable[Run]:
    with start(ctx.lab.state, "up", "demo", ctx.listener) as run:
        yield run


def test_the_first_plex_creates_it_and_waits_until_it_answers(
    ctx: Context, engine: Engine, run: Run
) -> None:
    assert ctx.lab.registry
    states = verbs.ensure_registry(ctx, ctx.lab.registry, run)

    assert [c.kind for c in engine.applied] == ["network", "profile", "volume", "instance"]
    assert FakeRegistry.probes == 3
    assert "depot" in states["local"].instances


def test_a_registry_that_is_up_needs_one_read_and_no_change(
    ctx: Context, engine: Engine, run: Run
) -> None:
    assert ctx.lab.registry
    verbs.ensure_registry(ctx, ctx.lab.registry, run)
    engine.reads, engine.applied, FakeRegistry.probes = 0, [], 0

    states = verbs.ensure_registry(ctx, ctx.lab.registry, run)

    assert (engine.reads, engine.applied, FakeRegistry.probes) == (1, [], 0)
    assert "depot" in states["local"].instances


def test_a_network_that_others_have_is_named_before_anything_is_created(
    ctx: Context, engine: Engine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two labs of one host have the same default network."""
    assert ctx.lab.registry
    tags = {"lab": "another", "plex": "registry"}
    engine.others["plex-registry"] = ObservedNetwork("plex-registry", tags, (NETWORK,))
    inside = IPv4Network("10.64.63.64/28")
    routes = (Route(inside, "docker0", connected=True),)
    monkeypatch.setattr(networks, "local_routes", lambda: routes)
    monkeypatch.setattr(verbs, "bake_types", lambda *_: pytest.fail("nothing is baked"))

    registry = ctx.lab.registry
    for call in (lambda: verbs.ensure_registry(ctx, registry, run), lambda: verbs.registry_up(ctx)):
        with pytest.raises(UsageError) as error:
            call()
        assert error.value.summary == (
            "refusing to create the network of the registry depot: it overlaps with others"
        )
        assert error.value.details == (
            "registry.network 10.64.63.0/24: network plex-registry (plex registry) of host local "
            "has 10.64.63.0/24",
            "registry.network 10.64.63.0/24: interface docker0 of host local has a route to "
            "10.64.63.64/28",
        )
        assert error.value.hint == (
            "this one is free: write `network: 10.64.0.0/24` below `registry` in "
            "clusters/hosts.yaml"
        )
    assert engine.applied == []


def test_a_registry_that_exists_is_not_refused_because_of_networks(
    ctx: Context, engine: Engine
) -> None:
    verbs.registry_up(ctx)
    engine.others["docker0"] = ObservedNetwork("docker0", {}, (NETWORK,))

    result = verbs.registry_up(ctx, replace=True)

    assert [c.kind for c in result.changes] == ["instance"]


def test_a_clock_of_a_host_that_accepts_no_certificate_is_named_before_it_is_created(
    ctx: Context, engine: Engine, run: Run
) -> None:
    assert ctx.lab.registry
    engine.clock_offset = 20 * 365 * 86400.0
    registry = ctx.lab.registry
    for call in (lambda: verbs.ensure_registry(ctx, registry, run), lambda: verbs.registry_up(ctx)):
        with pytest.raises(PlexError, match="the certificates of depot end on 2036-01-01"):
            call()
    assert engine.applied == []


def test_replace_recreates_its_node_and_keeps_the_rest(ctx: Context, engine: Engine) -> None:
    verbs.registry_up(ctx)
    engine.applied = []

    result = verbs.registry_up(ctx, replace=True)

    assert [(c.action, c.kind) for c in result.changes] == [(Action.REPLACE, "instance")]
    assert verbs.registry_up(ctx).changes == ()


def test_status_lists_pushed_repositories_without_cached_ones(ctx: Context) -> None:
    verbs.registry_up(ctx)

    result = verbs.registry_status(ctx)

    assert (result.healthy, result.endpoint) == (True, "10.64.63.2:5000")
    assert result.repositories == ("apps/demo",)
    assert result.hosts == (RegistryRow("local", "Running", "answers", 5 << 20),)


def test_status_without_a_node_is_unhealthy(ctx: Context) -> None:
    result = verbs.registry_status(ctx)

    assert not result.healthy
    assert result.hosts == (RegistryRow("local", "missing", "does not run", None),)


def test_status_shows_the_reason_for_an_unreachable_host(
    ctx: Context, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = HostState.of_unreachable("local", PlexError("host local does not answer"))
    monkeypatch.setattr(engine, "read", lambda _: {"local": unreachable})

    result = verbs.registry_status(ctx)

    assert not result.healthy
    assert result.hosts == (RegistryRow("local", "unknown", "host local does not answer", None),)


def test_destroy_deletes_all_its_objects(ctx: Context, engine: Engine) -> None:
    verbs.registry_up(ctx)

    result = verbs.destroy_registry(ctx)

    assert {c.kind for c in result.deleted} == {"instance", "profile", "network", "volume"}
    assert engine.resources == {}


def test_destroy_of_a_plex_never_deletes_the_registry(ctx: Context) -> None:
    with pytest.raises(UsageError, match="depot is the lab's registry") as error:
        destroyable_plex(ctx, "depot")

    assert error.value.hint == "`plexctl registry destroy`"


def test_the_error_without_a_registry_says_how_to_declare_one(ctx: Context) -> None:
    without = replace(ctx, lab=replace(ctx.lab, registry=None))

    with pytest.raises(UsageError, match="no registry"):
        verbs.registry_status(without)
    assert registry_plan.registry_types(without) == {}
