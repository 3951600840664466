"""What is done to a cluster and measured of it, each as a function of a side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from plexctl.clients.process import run
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from tests.bench import machine
from tests.bench.away import Away
from tests.bench.measures import (
    AWAY,
    CONTAINER,
    DNS,
    DNS_PROCESSOR,
    LOST,
    MASTER,
    ONE_OF_SEVERAL,
    REPLACED,
    SEVERAL,
    UPGRADE,
    WORKER,
    brought_up,
)
from tests.bench.observe import Observed
from tests.bench.results import Record
from tests.bench.side import ASKING, Side
from tests.bench.stats import Measure

Act = Callable[[Side, Record], None]

TIMES = 3
"""How often a command that takes no time is called in one round."""
LOOK, GONE, HEALTHY = 2.0, 10.0, 120.0
"""Seconds before a master is killed, after it, and until all masters are healthy."""
SETTLED = 180.0
UPGRADING = 300.0
"""Seconds that an upgrade may take."""
IDLE = 60.0
"""Seconds that a big cluster has to come to rest, and that it is then looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """PlexError of `act` says that the first of `measures` without a value has failed."""

    measures: tuple[Measure, ...]
    act: Act
    floor: bool = True  # whether the floor can do it


def up(workers: int, *, pods: bool = False) -> Step:
    """The first step of each story. `pods`: until their first container runs, and DNS answers."""
    ready = brought_up(workers)
    later = (CONTAINER, DNS, DNS_PROCESSOR) if pods else ()
    return Step((*ready, *later), partial(_up, ready, later))


def _up(ready: tuple[Measure, ...], later: tuple[Measure, ...], side: Side, record: Record) -> None:
    also = [measure.name for measure in later if not measure.of and record.results.wants(measure)]
    observed = Observed()
    try:
        side.observe(observed, side.up, also=also)
    finally:
        instants, used = observed.instants, observed.used
        if "ready" in instants:
            then = used["ready"]
            spent = (then.processor, then.stolen, then.processes, then.taken, then.cache)
            for measure, value in zip(ready, (instants["ready"], *spent), strict=True):
                record.add(measure, value)
        if CONTAINER.name in instants:
            record.add(CONTAINER, instants[CONTAINER.name])
        if DNS.name in instants:
            record.add(DNS, instants[DNS.name])
            record.add(DNS_PROCESSOR, used[DNS.name].processor)


def unmeasured_up() -> Step:
    """The first step of a story where `up` is measured in another one."""

    def act(side: Side, _: Record) -> None:
        side.until_ready(side.up)

    return Step((), act)


def _replace_worker(side: Side, record: Record) -> None:
    old = frozenset({side.cluster.ready()[side.cluster.last]})
    record.add(WORKER, side.until_ready(side.replace_worker, old))


def _replace_master(side: Side, record: Record) -> None:
    old = frozenset(side.cluster.ready().values())
    record.add(MASTER, side.until_ready(side.replace_master, old))


def _up_with_several(side: Side, record: Record) -> None:
    record.add(SEVERAL, side.until_ready(side.up))


def _lose_master(side: Side, record: Record) -> None:
    master = _at_the_address(side)
    machine.rest()
    with Away(side.cluster.kubeconfig, side.cluster.folder) as away:
        time.sleep(LOOK)
        run(("incus", "stop", "--force", master), timeout=ASKING)
        time.sleep(GONE)
    record.add(LOST, away.seconds)
    side.until_ready(side.up)


def _replace_one_of_several(side: Side, record: Record) -> None:
    master = _at_the_address(side)
    old = frozenset({side.cluster.ready()[master]})
    with Away(side.cluster.kubeconfig, side.cluster.folder) as away:
        words = (*side.program, "replace", master, "-y", "-q")
        record.add(ONE_OF_SEVERAL, side.until_ready(words, old))
    record.add(REPLACED, away.seconds)


def _at_the_address(side: Side) -> str:
    """The master at the address of the API, once all are healthy."""

    def healthy() -> Observation:
        try:
            done = run((*side.program, "status", "--json"), timeout=ASKING, env=side.environment)
        except PlexError as error:  # it is not healthy yet
            return Observation(False, error.summary)
        status.update(json.loads(done.stdout))
        return Observation(status["healthy"] and bool(status["endpoint"]), status["etcd"])

    status: dict[str, Any] = {}
    wait(Condition("all masters are healthy", healthy, HEALTHY, every=1.0))
    return str(status["endpoint"])


SEVERAL_UP = Step((SEVERAL,), _up_with_several, floor=False)
LOSE_MASTER = Step((LOST,), _lose_master, floor=False)
REPLACE_ONE_OF_SEVERAL = Step((ONE_OF_SEVERAL, REPLACED), _replace_one_of_several, floor=False)
REPLACE_WORKER = Step((WORKER,), _replace_worker)
REPLACE_MASTER = Step((MASTER,), _replace_master)


def scale(measure: Measure, workers: int) -> Step:
    def act(side: Side, record: Record) -> None:
        side.cluster.workers = workers
        record.add(measure, side.until_ready(side.scale(workers)))

    return Step((measure,), act)


def ask(measure: Measure, *words: str) -> Step:
    """A command of plexctl that only looks."""

    def act(side: Side, record: Record) -> None:
        machine.rest()
        for _ in range(TIMES):
            record.add(measure, side.timed(*words))

    return Step((measure,), act, floor=False)


def _upgrade(side: Side, record: Record) -> None:
    """All nodes get another size: that replaces them. The file is as before afterwards."""
    machine.rest()
    file = Path(side.program[-1]) / "clusters" / side.cluster.name / "plex.yaml"
    before = file.read_text()
    file.write_text(f"{before}groups:\n  - {{nodes: 1-3, size: {{memory: 3000MiB}}}}\n")
    began = time.monotonic()
    try:
        words = (*side.program, "upgrade", side.cluster.name, "--json", "-q")
        done = run(words, timeout=UPGRADING, env=side.environment)
    finally:
        file.write_text(before)
    record.add(UPGRADE, time.monotonic() - began)
    record.add(AWAY, json.loads(done.stdout)["seconds"]["away"])


ROLL = Step((UPGRADE, AWAY), _upgrade, floor=False)


def idle(measure: Measure) -> Step:
    """What the whole machine spends while nobody asks anything of the cluster."""

    def act(_: Side, record: Record) -> None:
        machine.rest(SETTLED)
        before, began = machine.processor_seconds(), time.monotonic()
        time.sleep(IDLE)
        spent = machine.processor_seconds() - before
        record.add(measure, spent / (time.monotonic() - began))

    return Step((measure,), act)
