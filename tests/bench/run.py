"""`bin/bench`: plexctl beside a hand-written script, in turn, on one machine.

Both make one master and two workers from the same baked image. Times are taken from outside:
from the launch of the command until the cluster's API says what is waited for.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import machine
from observe import Cluster
from side import (
    APPS,
    BAKE,
    DNS,
    HELP,
    MASTER,
    MEASURES,
    PLAN,
    PUSH,
    READY,
    WORKER,
    Results,
    Side,
    tell,
)
from stats import FLOOR, PLEXCTL, Measure, document, rows, table

from apps import Tree
from plexctl.clients.process import run
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Seen, wait

BENCH = Path(__file__).resolve().parent
PROGRAM = str(BENCH.parents[1] / "bin" / "plexctl")
SCRIPT = str(BENCH / "floor.sh")

WORKERS = 2
PLEX = "bench"
BAKING, WORKING, ASKING = 7200.0, 600.0, 60.0
"""Seconds that a command may take: one that may bake, one on a cluster, one that only looks."""
TIMES = 3
"""How often a command that takes no time is called in one round."""

IN_THE_WAY = f"^(({PLEX}|{FLOOR})[0-9]+|{PLEX}reg)$"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

QUICK = (READY, DNS)
BOTH = (READY, DNS, WORKER, MASTER)
CHOICES = (*BOTH, APPS, PUSH, PLAN, BAKE, HELP)


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab of the bench's own, with the one plex that it makes."""

    root: Path
    image: str  # that its nodes are made from
    environment: Mapping[str, str]

    def words(self, *words: str) -> tuple[str, ...]:
        return (PROGRAM, "-C", str(self.root), *words)

    def timed(self, *words: str) -> float:
        """Seconds that a command of plexctl takes; PlexError unless it ends with 0."""
        began = time.monotonic()
        run(self.words(*words), timeout=ASKING, env=self.environment)
        return time.monotonic() - began

    def plexctl(self) -> Side:
        return Side(
            PLEXCTL,
            self._cluster(PLEX),
            up=self.words("up", PLEX, "-q"),
            replace_worker=self.words("replace", f"{PLEX}{1 + WORKERS}", "-y", "-q"),
            replace_master=self.words("replace", "master", "--plex", PLEX, "-y", "-q"),
            destroy=self.words("destroy", PLEX, "-y", "-q"),
            environment=self.environment,
            keeps_kubeconfig=True,
        )

    def floor(self) -> Side:
        cluster = self._cluster(FLOOR)
        kubeconfig = str(cluster.kubeconfig)
        return Side(
            FLOOR,
            cluster,
            up=(SCRIPT, "up", FLOOR, self.image, str(WORKERS), kubeconfig),
            replace_worker=(SCRIPT, "replace", FLOOR, self.image, str(1 + WORKERS)),
            replace_master=(SCRIPT, "replace", FLOOR, self.image, "1", kubeconfig),
            destroy=(SCRIPT, "destroy", FLOOR),
            environment={},
            keeps_kubeconfig=False,
        )

    def _cluster(self, name: str) -> Cluster:
        folder = self.root.parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        nodes = frozenset(f"{name}{number}" for number in range(1, 2 + WORKERS))
        return Cluster(folder / "kubeconfig", folder, nodes)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    results = Results(frozenset(options.only))
    about: dict[str, str] = {}
    problem = ""
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        with laboratory() as (lab, versions):
            about = {**machine.describe(), **versions}
            for turn in range(1, options.runs + 1):
                tell(f"round {turn} of {options.runs}")
                one_round(lab, results, turn)
        if results.wants(APPS, PUSH):
            with gitops() as lab:
                for turn in range(1, options.runs + 1):
                    tell(f"apps, round {turn} of {options.runs}")
                    apps(lab, results, turn)
    except KeyboardInterrupt:
        problem = "interrupted"
    except PlexError as error:
        problem = "\n".join((f"error: {error.summary}", *error.details))
    show(options, results, about)
    if problem:
        tell(problem)
    return 1 if problem or results.failures else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    names = tuple(measure.name for measure in CHOICES)
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__.split("\n\n")[1])
    parser.add_argument("--runs", type=positive, default=3, metavar="N", help="rounds (3)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--quick",
        dest="only",
        action="store_const",
        const=[measure.name for measure in QUICK],
        help="one master and two workers up, and nothing else",
    )
    which.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="figures in JSON, in a file beside the table or in the table's place",
    )
    parser.set_defaults(only=list(names))
    return parser.parse_args(argv)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def interrupt(number: int, _: FrameType | None) -> None:
    """The first signal ends the measurements, and further ones nothing."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


@contextmanager
def laboratory() -> Iterator[tuple[Lab, dict[str, str]]]:
    """A lab in a folder of its own, its image baked; and the versions of what is measured."""
    others = run(["incus", "list", "-f", "csv", "-c", "n", IN_THE_WAY], timeout=ASKING).stdout
    if others:
        raise PlexError(
            f"these instances have the names of the bench's own: {', '.join(others.split())}"
        )
    with tempfile.TemporaryDirectory(prefix="plexctl-bench-") as folder:
        lab = Lab(Path(folder, "lab"), "", {"XDG_CONFIG_HOME": f"{folder}/home"})
        lab.root.mkdir()
        run(lab.words("init", PLEX), timeout=ASKING, env=lab.environment)
        tell("baking the image, if it is not there yet")
        baked = run(lab.words("bake", "--json"), timeout=BAKING, env=lab.environment).stdout
        [image] = json.loads(baked)["images"]
        kubeconfig = str(lab.plexctl().cluster.kubeconfig)
        words = lab.words("kubeconfig", PLEX, "--output", kubeconfig)
        run(words, timeout=ASKING, env=lab.environment)
        version = run(lab.words("--version"), timeout=ASKING, env=lab.environment).stdout.split()
        versions = {"kubernetes": image["kubernetes"], "plexctl": version[-1]}
        yield replace(lab, image=image["name"]), versions


def one_round(lab: Lab, results: Results, turn: int) -> None:
    """Everything once, plexctl and then the floor. Both are gone afterwards."""
    if results.wants(*BOTH, PLAN):
        side = lab.plexctl()
        with destroyed(side):
            if side.measure(results, turn) and results.wants(PLAN):
                ask(lab, results, turn, PLAN, "plan", PLEX)
    if results.wants(*BOTH):
        side = lab.floor()
        with destroyed(side):
            side.measure(results, turn)
    if results.wants(BAKE):
        ask(lab, results, turn, BAKE, "bake")
    if results.wants(HELP):
        ask(lab, results, turn, HELP, "--help")


@contextmanager
def gitops() -> Iterator[Lab]:
    """A lab whose plex has Flux and the app hello-world; its images and its registry are there."""
    with tempfile.TemporaryDirectory(prefix="plexctl-bench-") as folder:
        lab = Lab(Path(folder, "lab"), "", {"XDG_CONFIG_HOME": f"{folder}/home"})
        hosts = lab.root / "clusters" / "hosts.yaml"
        hosts.parent.mkdir(parents=True)
        hosts.write_text(
            "hosts: {local: {kind: incus}}\n"
            f"registry: {{name: {PLEX}reg, network: 10.64.62.0/24}}\n"
        )
        run(lab.words("init", "--gitops", PLEX), timeout=ASKING, env=lab.environment)
        tell("baking the image with Flux, and making the registry, if they are not there yet")
        run(lab.words("bake", "-q"), timeout=BAKING, env=lab.environment)
        try:
            run(lab.words("registry", "up", "-q"), timeout=BAKING, env=lab.environment)
            kubeconfig = str(lab.plexctl().cluster.kubeconfig)
            words = lab.words("kubeconfig", PLEX, "--output", kubeconfig)
            run(words, timeout=ASKING, env=lab.environment)
            yield lab
        finally:
            run(lab.words("registry", "destroy", "-y", "-q"), timeout=WORKING, env=lab.environment)


def apps(lab: Lab, results: Results, turn: int) -> None:
    """A plex with its apps, and some pushes to it. It is gone afterwards."""
    side = lab.plexctl()
    folder = side.cluster.folder
    tree = Tree(lab.root, side.cluster.kubeconfig, folder, folder / "log", lab.environment)
    with destroyed(side), results.measuring(APPS, PLEXCTL, turn):
        machine.rest()
        results.add(APPS, PLEXCTL, turn, tree.answering(side.up))
        for number in range(TIMES if results.wants(PUSH) else 0):
            machine.rest()
            words = lab.words("flux", "push", PLEX, "-q")
            results.add(PUSH, PLEXCTL, turn, tree.live(words, f"change {turn}.{number}"))


def ask(lab: Lab, results: Results, turn: int, measure: Measure, *words: str) -> None:
    machine.rest()
    with results.measuring(measure, PLEXCTL, turn):
        for _ in range(TIMES):
            results.add(measure, PLEXCTL, turn, lab.timed(*words))


@contextmanager
def destroyed(side: Side) -> Iterator[None]:
    """Nothing of `side` is left afterwards, also where a command of its was interrupted."""

    def gone() -> Seen:
        try:
            run(side.destroy, timeout=WORKING, env=side.environment)
        except PlexError as error:
            return Seen(False, " ".join((error.summary, *error.details)))
        return Seen(True)

    try:
        yield
    finally:
        # A signal waits until this is done, in the programs that are called too.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            # An instance that the host is still making cannot be removed yet.
            wait(Condition(f"all of {side.name} is gone", gone, WORKING, every=2.0))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def show(options: argparse.Namespace, results: Results, about: Mapping[str, str]) -> None:
    found = rows(MEASURES, results.samples)
    text = json.dumps(document(found, results.failures, about, options.runs), indent=2)
    if options.json == "-":
        print(text)
    else:
        for name, value in about.items():
            print(f"{name}: {value}")
        print(f"\n{table(found) if found else 'nothing was measured'}")
        if options.json:
            Path(options.json).write_text(f"{text}\n")
    for failure in results.failures:
        tell(f"\n{failure.measure} of {failure.side}, round {failure.round}: {failure.error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
