"""The table of what a round consists of: clusters that are made, and what is then done to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from plexctl.errors import PlexError
from tests.bench import machine, room
from tests.bench.apps import Tree
from tests.bench.lab import PLEX, Lab, destroyed
from tests.bench.measures import (
    APPS,
    BAKE,
    BIG,
    COMPLETE,
    CONTAINER,
    DNS,
    FROZEN,
    HELP,
    IDLE_64,
    OF_APPS,
    PLAN,
    PLAN_64,
    PUSH,
    RESTORE,
    SAVE,
    SCALE,
    STATUS_64,
)
from tests.bench.results import Results
from tests.bench.side import Side
from tests.bench.stats import FLOOR, PLEXCTL, Measure
from tests.bench.steps import (
    LOSE_MASTER,
    REPLACE_MASTER,
    REPLACE_ONE_OF_SEVERAL,
    REPLACE_WORKER,
    ROLL,
    SEVERAL_UP,
    TIMES,
    Step,
    ask,
    idle,
    scale,
    unmeasured_up,
    up,
)


@dataclass(frozen=True, slots=True)
class Story:
    """One cluster of each side; the first of `steps` makes it."""

    workers: int
    steps: tuple[Step, ...]
    minutes: float  # of one round, both sides, on two processors: told, not waited for
    floor: bool = True
    most: int = 0  # workers that it ever has, if more than in the beginning
    masters: int = 1

    @property
    def big(self) -> bool:
        return self.nodes > min(BIG)

    @property
    def nodes(self) -> int:
        """That it has at most, with the masters."""
        return self.masters + max(self.workers, self.most)

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(measure for step in self.steps for measure in step.measures)

    def wanted(self, results: Results, side: str) -> tuple[Step, ...]:
        """The steps to do: the first, and those whose measures are wanted. Maybe none."""
        if side == FLOOR and not self.floor:
            return ()
        first, *others = self.steps
        found = [
            step
            for step in others
            if results.wants(*step.measures) and (step.floor or side == PLEXCTL)
        ]
        return (first, *found) if found or results.wants(*first.measures) else ()


@dataclass(frozen=True, slots=True)
class Alone:
    """A command of plexctl for which no cluster is needed, and a word that it then says."""

    measure: Measure
    words: tuple[str, ...]
    says: str
    environment: Mapping[str, str] = field(default_factory=dict)


# To measure one thing more: a Measure in `measures`, and a step of a story here.
STORIES = (
    Story(
        2,
        (up(2, pods=True), REPLACE_WORKER, REPLACE_MASTER, ask(PLAN, "plan", PLEX), ROLL),
        3,
    ),
    Story(2, (SEVERAL_UP, LOSE_MASTER, REPLACE_ONE_OF_SEVERAL), 2, floor=False, masters=3),
    Story(16, (up(16),), 3),
    Story(2, (unmeasured_up(), scale(SCALE, 18)), 3, most=18),
    Story(
        64,
        (up(64), idle(IDLE_64), ask(PLAN_64, "plan", PLEX), ask(STATUS_64, "status", PLEX)),
        15,
    ),
    Story(128, (up(128),), 7, floor=False),
)
ALONE = (
    Alone(BAKE, ("bake",), "kube"),
    Alone(HELP, ("--help",), "replace"),
    Alone(
        COMPLETE,
        (),
        "status",
        {"_PLEXCTL_COMPLETE": "complete_bash", "COMP_WORDS": "plexctl st", "COMP_CWORD": "1"},
    ),
)
APPS_MINUTES = 3.0


def small() -> tuple[str, ...]:
    """Names of what is measured where nothing is chosen."""
    found = [measure.name for story in STORIES if not story.big for measure in story.measures]
    found += [*(one.name for one in OF_APPS), *(one.measure.name for one in ALONE)]
    return tuple(found)


def minutes(results: Results, runs: int, big_runs: int) -> float:
    """How long all that is wanted takes, about; what is still to be baked not counted."""
    both = [story for story in STORIES if story.wanted(results, PLEXCTL)]
    total = sum(story.minutes * (big_runs if story.big else runs) for story in both)
    return total + (APPS_MINUTES * runs if results.wants(*OF_APPS) else 0)


def minutes_of_big() -> str:
    found = []
    for story in STORIES:
        names = [measure.name for measure in story.measures if not measure.of]
        if story.big:
            found.append(f"{' '.join(names)} {story.minutes:g}")
    return ", ".join(found)


def play(story: Story, lab: Lab, results: Results, turn: int) -> None:
    """The story on plexctl, and then on the floor. Both are gone afterwards."""
    makers = ((PLEXCTL, partial(lab.plexctl, masters=story.masters)), (FLOOR, lab.floor))
    for name, made in makers:
        steps = story.wanted(results, name)
        if not steps:
            continue
        measures = tuple(measure for step in steps for measure in step.measures)
        if story.big and (why := room.lacking(story.nodes)):
            results.record(name, turn).skipped(measures, why)
            continue
        side = made(story.workers)
        with destroyed(side):
            _play(steps, side, results, turn)


def _play(steps: tuple[Step, ...], side: Side, results: Results, turn: int) -> None:
    for number, step in enumerate(steps):
        record = results.record(side.name, turn)
        try:
            step.act(side, record)
        except PlexError as error:
            open_ones = (m for later in steps[number:] for m in later.measures)
            record.failed(tuple(m for m in open_ones if results.wants(m)), error)
            if number == 0 and not record.done:
                return  # there is no cluster to go on with


def any_alone(results: Results) -> bool:
    return results.wants(*(one.measure for one in ALONE))


def alone(lab: Lab, results: Results, turn: int) -> None:
    """Commands beside no cluster at all."""
    for one in ALONE:
        if not results.wants(one.measure):
            continue
        machine.rest()
        record = results.record(PLEXCTL, turn)
        try:
            for _ in range(TIMES):
                record.add(one.measure, lab.timed(*one.words, says=one.says, also=one.environment))
        except PlexError as error:
            record.failed((one.measure,), error)


def apps(lab: Lab, results: Results, turn: int) -> None:
    """A plex with its apps, and some pushes to it. It is gone afterwards."""
    side = lab.plexctl(2)
    folder = side.cluster.folder
    tree = Tree(lab.root, side.cluster.kubeconfig, folder, folder / "log", lab.environment)
    record = results.record(PLEXCTL, turn)
    with destroyed(side):
        try:
            machine.rest()
            record.add(APPS, tree.answering(side.up))
            for number in range(TIMES if results.wants(PUSH) else 0):
                machine.rest()
                words = lab.words("flux", "push", PLEX, "-q")
                record.add(PUSH, tree.live(words, f"change {turn}.{number}"))
            for number in range(TIMES if results.wants(SAVE, FROZEN, RESTORE) else 0):
                machine.rest()
                name = f"bench-{turn}-{number}"
                saved, frozen = tree.saved(lab.words("snapshot", "save", name, "--json", "-q"))
                record.add(SAVE, saved)
                record.add(FROZEN, frozen)
                machine.rest()
                words = lab.words("snapshot", "restore", name, "-y", "-q")
                record.add(RESTORE, tree.returning(words))
        except PlexError as error:
            record.failed(tuple(m for m in OF_APPS if results.wants(m)), error)


QUICK = ("ready", CONTAINER.name, DNS.name)
