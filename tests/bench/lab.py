"""Labs of the bench's own: folders, images, and the two sides that work in them."""

from __future__ import annotations

import json
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from plexctl.clients.process import run
from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from tests.bench import engine
from tests.bench.observe import Cluster
from tests.bench.results import report
from tests.bench.side import ASKING, Side, timed
from tests.bench.stats import FLOOR, PLEXCTL

BENCH = Path(__file__).resolve().parent
PROGRAM = str(BENCH.parents[1] / "bin" / "plexctl")
SCRIPT = str(BENCH / "floor.sh")
PLEX = "bench"

BAKING, WORKING = 7200.0, 900.0
"""Seconds that a command may take: one that may bake, and one on a cluster."""

IN_THE_WAY = f"^(({PLEX}|{FLOOR})[0-9]+|{PLEX}reg)$"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab with the one plex that plexctl makes."""

    root: Path
    environment: Mapping[str, str]
    image: str = ""  # that its nodes are made from
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        return self._folder(PLEX) / "kubeconfig"

    def words(self, *words: str) -> tuple[str, ...]:
        return (PROGRAM, "-C", str(self.root), *words)

    def run(self, *words: str, timeout: float = ASKING) -> str:
        """What it prints."""
        return run(self.words(*words), timeout=timeout, env=self.environment).stdout

    def timed(self, *words: str, says: str, also: Mapping[str, str]) -> float:
        return timed(self.words(*words), {**self.environment, **also}, says)

    def plexctl(self, workers: int, masters: int = 1) -> Side:
        """The plex is to have so many workers and masters when it comes up."""
        file = self.root / "clusters" / PLEX / "plex.yaml"
        content = re.sub(r"(?m)^masters: \d+\n", "", file.read_text())
        several = f"masters: {masters}\n" if masters > 1 else ""
        size = f"{several}workers: {workers}"
        file.write_text(re.sub(r"(?m)^workers: \d+$", size, content))
        cluster = Cluster(PLEX, self.kubeconfig, self._folder(PLEX), workers, masters)
        return Side(
            PLEXCTL,
            cluster,
            up=self.words("up", PLEX, "-q"),
            replace_worker=self.words("replace", cluster.last, "-y", "-q"),
            replace_master=self.words("replace", "master", "--plex", PLEX, "-y", "-q"),
            scale=lambda most: self.words("scale", PLEX, "--workers", str(most), "-y", "-q"),
            destroy=self.words("destroy", PLEX, "-y", "-q"),
            environment=self.environment,
            keeps_kubeconfig=True,
            program=self.words(),
        )

    def floor(self, workers: int) -> Side:
        folder = self._folder(FLOOR)
        cluster = Cluster(FLOOR, folder / "kubeconfig", folder, workers)
        kubeconfig = str(cluster.kubeconfig)
        return Side(
            FLOOR,
            cluster,
            up=(SCRIPT, "up", FLOOR, self.image, str(workers), kubeconfig),
            replace_worker=(SCRIPT, "replace", FLOOR, self.image, str(1 + workers)),
            replace_master=(SCRIPT, "replace", FLOOR, self.image, "1", kubeconfig),
            scale=lambda most: (SCRIPT, "scale", FLOOR, self.image, str(most)),
            destroy=(SCRIPT, "destroy", FLOOR),
            environment={},
            keeps_kubeconfig=False,
        )

    def _folder(self, name: str) -> Path:
        folder = self.root.parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


@contextmanager
def laboratory(engine_name: str) -> Iterator[Lab]:
    """A lab in a folder of its own, its image baked."""
    with _made(engine_name) as lab:
        lab.run("init", PLEX)
        report("baking the image if it is not there yet")
        baked = lab.run("bake", "--json", timeout=BAKING)
        (image,) = json.loads(baked)["images"]
        _prepare(lab, engine_name)
        versions = {
            "kubernetes": image["kubernetes"],
            "plexctl": lab.run("--version").split()[-1],
            "engine": engine.version(engine_name, lab.environment),
        }
        yield replace(lab, image=image["name"], versions=versions)


@contextmanager
def gitops(engine_name: str) -> Iterator[Lab]:
    """A lab whose plex has Flux and the app hello-world; its images and its registry are there."""
    with _made(engine_name) as lab:
        hosts = lab.root / "clusters" / "hosts.yaml"
        hosts.parent.mkdir(parents=True)
        hosts.write_text(
            "hosts: {local: {kind: incus}}\n"
            f"registry: {{name: {PLEX}reg, network: 10.64.62.0/24}}\n"
        )
        lab.run("init", "--gitops", PLEX)
        report("baking the image with Flux, and making the registry, if they are not there yet")
        lab.run("bake", "-q", timeout=BAKING)
        try:
            lab.run("registry", "up", "-q", timeout=BAKING)
            _prepare(lab, engine_name)
            yield lab
        finally:
            with _undisturbed():
                lab.run("registry", "destroy", "-y", "-q", timeout=WORKING)


@contextmanager
def _made(engine_name: str) -> Iterator[Lab]:
    """A lab without files yet, in a folder that is gone afterwards."""
    others = run(["incus", "list", "-f", "csv", "-c", "n", IN_THE_WAY], timeout=ASKING).stdout
    if others:
        names = " ".join(others.split())
        raise PlexError(
            "there are instances with the names of the bench's own, maybe of one that was killed",
            details=(names, f"what is left of the floor: tests/bench/floor.sh destroy {FLOOR}"),
        )
    with tempfile.TemporaryDirectory(prefix="plexctl-bench-") as folder:
        made = engine.environment(engine_name, Path(folder))
        yield Lab(Path(folder, "lab"), {"XDG_CONFIG_HOME": f"{folder}/home", **made})


def _prepare(lab: Lab, engine_name: str) -> None:
    if engine_name != engine.DIRECT:
        lab.run("engine", engine_name, PLEX, timeout=WORKING)
    lab.run("kubeconfig", PLEX, "--output", str(lab.kubeconfig))


@contextmanager
def destroyed(side: Side) -> Iterator[None]:
    """Nothing of `side` is left afterwards, also where a command of its was interrupted."""

    def gone() -> Observation:
        try:
            run(side.destroy, timeout=WORKING, env=side.environment)
        except PlexError as error:
            return Observation(False, " ".join((error.summary, *error.details)))
        return Observation(True)

    try:
        yield
    finally:
        with _undisturbed():
            # An instance that the host is still making cannot be removed yet.
            wait(Condition(f"all of {side.name} is gone", gone, WORKING, every=2.0))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A signal waits until this is done, in the programs that are called too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
