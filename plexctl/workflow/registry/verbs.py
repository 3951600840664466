"""The lab's registry: created for the first plex that needs it, deleted only by its own verb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from filelock import FileLock, Timeout

from plexctl.clients.hosts import incus_hosts
from plexctl.clients.registry.lab import LabRegistry
from plexctl.clients.registry.routes import HttpsRoute, NodeRoute
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.keys.lab import PUSHER, LabKeys
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.events import Outcome
from plexctl.model.host import Host
from plexctl.model.observed import RUNNING, UNKNOWN, HostState
from plexctl.model.registry import Registry
from plexctl.model.state import state_folder
from plexctl.plan.registry.node import DATA
from plexctl.plan.resources.types import Owner
from plexctl.provision.change import Change, DiffOptions
from plexctl.provision.engine import ApplyJob
from plexctl.results.plex import DestroyResult
from plexctl.results.registry import ANSWERS, RegistryResult, RegistryRow, RegistryUpResult
from plexctl.workflow.core.clock import clock_notes, require_clock, require_host_clocks
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import Run, start
from plexctl.workflow.core.unreachable import raise_if_left_behind, still_there
from plexctl.workflow.images.ensure import bake_types
from plexctl.workflow.plex.plan import change_rows
from plexctl.workflow.registry.networks import require_free_registry_network
from plexctl.workflow.registry.plan import (
    registry_changes,
    registry_images,
    registry_release,
    registry_types,
)

DEADLINE = 60.0
LOCK_SECONDS = 1800.0
UNIT = "plex-registry"
NOT_CHANGED = "its registry was not changed; everything else is done"


def ensure_registry(ctx: Context, registry: Registry, run: Run) -> dict[str, HostState]:
    """Bring the registry up as a step of a run on a plex; returns the states of the hosts.

    If nothing has to be done, it only compares states that the run needs anyway.
    """
    states = ctx.engine.read(ctx.hosts)
    if not registry_changes(ctx, registry, registry_images(ctx), states):
        return states
    require_host_clocks(registry.name, states.values())
    require_free_registry_network(ctx, registry, states)
    with _alone(ctx, registry, run):
        _converge(ctx, registry, run)
    return ctx.engine.read(ctx.hosts)


def registry_up(ctx: Context, *, replace: bool = False) -> RegistryUpResult:
    """Bring the registry to the state in hosts.yaml; with `replace`, recreate its nodes.

    Its content stays: it is on a volume of its own.
    """
    registry = registry_of(ctx)
    verb = "replace" if replace else "up"
    require_clock(registry.name)
    with start(ctx.lab.state, verb, registry.name, ctx.listener) as run:
        states = ctx.engine.read(ctx.hosts)
        require_host_clocks(registry.name, states.values())
        for note in clock_notes(states.values()):
            run.note(note)
        require_free_registry_network(ctx, registry, states)
        changes = _converge(ctx, registry, run, replace=replace)
        raise_if_left_behind(ctx, ctx.hosts, NOT_CHANGED, "plexctl registry up")
    return RegistryUpResult(registry.name, registry.endpoint, change_rows(changes), run.id)


def registry_status(ctx: Context) -> RegistryResult:
    """The state of the registry on each host, from the hosts and from the registry itself."""
    registry = registry_of(ctx)
    states = ctx.engine.read(ctx.hosts)
    rows, pushed = [], set[str]()
    for name, _ in registry_types(ctx):
        state = states[name]
        seen = state.instances.get(registry.name)
        status = UNKNOWN if state.unreachable else seen.status if seen else "missing"
        used, api = None, state.unreachable_reason or "does not run"
        if status == RUNNING:
            used, api = _used(ctx.hosts[name], registry), ANSWERS
            try:
                pushed |= set(
                    _pushed(registry, registry_client(ctx, registry, name).repositories())
                )
            except PlexError as error:
                api = " ".join((error.summary, *error.details))
        rows.append(RegistryRow(name, status, api, used))
    return RegistryResult(
        registry.name,
        registry.endpoint,
        healthy=all(row.api == ANSWERS for row in rows),
        upstreams=dict(registry.upstreams),
        hosts=tuple(rows),
        repositories=tuple(sorted(pushed)),
    )


def destroy_registry(ctx: Context) -> DestroyResult:
    """Delete the registry with all its content, cached and pushed."""
    registry = registry_of(ctx)
    with (
        start(ctx.lab.state, "destroy", registry.name, ctx.listener) as run,
        run.step(f"delete the registry {registry.name}") as step,
    ):
        states = ctx.engine.read(ctx.hosts)
        options = DiffOptions(Owner(ctx.seed.lab_id, registry.name), volumes=True)
        changes = ctx.engine.diff((), states, options)
        run.intend({change.key: change.action for change in changes})
        ctx.engine.apply(ApplyJob((), changes, states, run.id, run))
        raise_if_left_behind(ctx, ctx.hosts, still_there(registry.name), "plexctl registry destroy")
        step.end(Outcome.CHANGED if changes else Outcome.UNCHANGED)
    return DestroyResult(registry.name, change_rows(changes), ())


def registry_of(ctx: Context) -> Registry:
    """UsageError if the lab has none."""
    if ctx.lab.registry is None:
        raise UsageError(
            "the lab has no registry", hint="write `registry: {}` in clusters/hosts.yaml"
        )
    return ctx.lab.registry


def registry_client(ctx: Context, registry: Registry, host: str) -> LabRegistry:
    """A client of the registry of `host`. Requests to another machine are sent by its own node."""
    keys, incus = LabKeys.derive(ctx.seed), incus_hosts(ctx.hosts)[host]
    authority, address = keys.ca.pair.certificate, f"https://{registry.endpoint}"
    if incus.spec.local:
        straight = HttpsRoute(registry.endpoint, authority)
        return LabRegistry(address, straight, PUSHER, keys.push_password())
    within = NodeRoute(incus.instances, registry.name, registry.endpoint, authority)
    return LabRegistry(f"{address} of host {host}", within, PUSHER, keys.push_password())


def _converge(
    ctx: Context, registry: Registry, run: Run, *, replace: bool = False
) -> tuple[Change, ...]:
    bake_types(ctx, registry_types(ctx), registry_release(ctx), run)
    states = ctx.engine.read(ctx.hosts)
    changes = registry_changes(ctx, registry, registry_images(ctx), states, replace=replace)
    with run.step(f"bring up the node {registry.name}") as step:
        run.intend({change.key: f"{change.action}: {change.reason}" for change in changes})
        ctx.engine.apply(ApplyJob((), changes, states, run.id, run))
        step.end(Outcome.CHANGED if changes else Outcome.UNCHANGED)
    if changes:
        with run.step(f"wait until the registry answers at https://{registry.endpoint}") as step:
            for host in dict.fromkeys(change.host for change in changes):
                # An unreachable host is reported at the end.
                with suppress(UnreachableHostError):
                    wait(_Answers(ctx, registry, host).condition())
            step.end(Outcome.UNCHANGED)
    return changes


@dataclass(frozen=True, slots=True)
class _Answers:
    """Whether the registry of a host answers over HTTPS, with a certificate of the lab's CA."""

    ctx: Context
    registry: Registry
    host: str

    def condition(self) -> Condition:
        return Condition(
            f"the registry of host {self.host} answers",
            probe=self._probe,
            deadline=DEADLINE,
            explain=self._explain,
            hint="`plexctl registry replace` recreates it; its content stays",
        )

    def _probe(self) -> Observation:
        try:
            registry_client(self.ctx, self.registry, self.host).ping()
        except UnreachableHostError:
            raise
        except PlexError as error:
            return Observation(False, " ".join((error.summary, *error.details)))
        return Observation(True)

    def _explain(self) -> tuple[str, ...]:
        """The last lines of its log."""
        argv = ("journalctl", "--no-pager", "--lines=5", "--output=cat", f"--unit={UNIT}")
        try:
            shown = self.ctx.hosts[self.host].execute(self.registry.name, argv).stdout
        except PlexError as error:
            shown = error.summary
        return tuple(f"{self.host}: {line}" for line in shown.splitlines())


def _used(host: Host, registry: Registry) -> int | None:
    """Bytes on its volume. `du` is quick: there are few files, and few pools report the use."""
    argv = ("du", "--summarize", "--block-size=1", DATA)
    try:
        done = host.execute(registry.name, argv, timeout=60)
    except PlexError:
        return None
    return int(done.stdout.split()[0]) if done.code == 0 else None


def _pushed(registry: Registry, repositories: tuple[str, ...]) -> tuple[str, ...]:
    """Without cached repositories, which Zot lists too."""
    caches = tuple(f"{name}/" for name, _ in registry.upstreams)
    return tuple(name for name in repositories if not name.startswith(caches))


@contextmanager
def _alone(ctx: Context, registry: Registry, run: Run) -> Iterator[None]:
    """Hold the registry's lock: of plexes that come up at the same time, one creates it."""
    locks = state_folder(ctx.lab.state).below("locks")
    lock = FileLock(locks.checked(f"{registry.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with run.step("wait for another plexctl that is working on the registry"):
            try:
                lock.acquire(timeout=LOCK_SECONDS)
            except Timeout as error:
                raise PlexError(
                    f"another plexctl has been working on the registry for {LOCK_SECONDS:.0f} s"
                ) from error
    try:
        yield
    finally:
        lock.release()
