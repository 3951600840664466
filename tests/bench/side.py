"""The two that are compared, and what is measured of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import machine
from observe import Cluster, Observed, observe
from stats import Failure, Measure, Sample

from plexctl.errors import PlexError

READY = Measure("ready", "1+2: all nodes Ready")
PROCESSOR = Measure("processor", "  processor time until then", digits=1)
MEMORY = Measure("memory", "  memory of processes then", "MiB", 0)
DNS = Measure("dns", "1+2: DNS answers a pod")
WORKER = Measure("replace-worker", "replace of a worker: Ready")
MASTER = Measure("replace-master", "replace of the master: all Ready")
APPS = Measure("apps", "1+2 with Flux: hello-world answers")
PUSH = Measure("push", "flux push: the change is live")
PLAN = Measure("plan", "plan, nothing to do")
BAKE = Measure("bake", "bake, nothing to do")
HELP = Measure("help", "plexctl --help")

MEASURES = (READY, PROCESSOR, MEMORY, DNS, WORKER, MASTER, APPS, PUSH, PLAN, BAKE, HELP)


@dataclass(slots=True)
class Results:
    """What was measured, told to whoever watches as it comes."""

    wanted: frozenset[str]  # names of measures
    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def wants(self, *measures: Measure) -> bool:
        return any(measure.name in self.wanted for measure in measures)

    def add(self, measure: Measure, side: str, turn: int, value: float) -> None:
        self.samples.append(Sample(measure.name, side, turn, value))
        tell(f"  {side:8} {measure.title.strip()}: {value:.{measure.digits}f} {measure.unit}")

    @contextmanager
    def measuring(self, measure: Measure, side: str, turn: int) -> Iterator[None]:
        """A failure in here is noted, and what comes after goes on."""
        try:
            yield
        except PlexError as error:
            self.failed(measure, side, turn, error)

    def failed(self, measure: Measure, side: str, turn: int, error: PlexError) -> None:
        text = "\n".join((error.summary, *error.details))
        self.failures.append(Failure(measure.name, side, turn, text))
        tell(f"  {side:8} {measure.title.strip()}: failed")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, as the commands that its user types."""

    name: str
    cluster: Cluster
    up: tuple[str, ...]
    replace_worker: tuple[str, ...]  # the last one
    replace_master: tuple[str, ...]
    destroy: tuple[str, ...]
    environment: Mapping[str, str]
    keeps_kubeconfig: bool  # over a new master

    def measure(self, results: Results, turn: int) -> bool:
        """Make the cluster and replace its nodes; whether it was ever up. It is not destroyed."""
        observed = Observed()
        try:
            self._observe(observed, self.up, dns=results.wants(DNS))
        except PlexError as error:
            last = DNS if "ready" in observed.instants else READY
            results.failed(last, self.name, turn, error)
        self._add_up(results, turn, observed)
        if "ready" not in observed.instants:
            return False
        if results.wants(WORKER):
            with results.measuring(WORKER, self.name, turn):
                ready, last = self.cluster.ready(), max(self.cluster.nodes)
                old = frozenset(uid for name, uid in ready.items() if name == last)
                self._replace(results, WORKER, turn, self.replace_worker, old)
        if results.wants(MASTER):
            with results.measuring(MASTER, self.name, turn):
                old = frozenset(self.cluster.ready().values())
                self._replace(results, MASTER, turn, self.replace_master, old)
        return True

    def _add_up(self, results: Results, turn: int, observed: Observed) -> None:
        instants = observed.instants
        if "ready" in instants and results.wants(READY):
            results.add(READY, self.name, turn, instants["ready"])
            results.add(PROCESSOR, self.name, turn, observed.processor)
            results.add(MEMORY, self.name, turn, observed.memory)
        if "dns" in instants:
            results.add(DNS, self.name, turn, instants["dns"])

    def _replace(
        self,
        results: Results,
        measure: Measure,
        turn: int,
        command: tuple[str, ...],
        old: frozenset[str],
    ) -> None:
        observed = Observed()
        self._observe(observed, command, old=old)
        results.add(measure, self.name, turn, observed.instants["ready"])

    def _observe(
        self,
        observed: Observed,
        command: tuple[str, ...],
        *,
        old: frozenset[str] = frozenset(),
        dns: bool = False,
    ) -> None:
        if command != self.replace_worker and not self.keeps_kubeconfig:
            self.cluster.forget()
        machine.rest()
        observe(observed, command, self.cluster, self.environment, old=old, dns=dns)
