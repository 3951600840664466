"""The lab of a user: a folder, the command `plexctl`, and kubectl beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from plexctl.clients.incus.host import IncusHost
from plexctl.depot.pins import load_pins
from plexctl.depot.store import Depot
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import HostState
from plexctl.plan.plan import Plan
from plexctl.plan.resources.types import Acl, Network
from tests.unit.depot.support import Recorder

CHECKOUT = Path(__file__).parents[2]
PLEXCTL = CHECKOUT / "bin" / "plexctl"
LOCAL = HostSpec("local", HostKind.INCUS, "/var/lib/incus/unix.socket", "default", 4)


@dataclass(frozen=True)
class Answer:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Lab:
    """A folder with `clusters/`, and a user with an empty configuration folder."""

    root: Path
    home: Path
    command: tuple[str, ...] = (str(PLEXCTL),)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Begin a command and return at once."""
        return subprocess.Popen(
            [*self.command, "-C", str(self.root), *words],
            env={
                **os.environ,
                "XDG_CONFIG_HOME": str(self.home),
                "NO_COLOR": "1",
                **self.environment,
            },
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, code: int | None = 0, timeout: float = 900, stdin: str | None = None
    ) -> Answer:
        """Run a command to its end; it must end with `code` unless that is None."""
        process = self.start(*words, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        out, err = process.communicate(stdin, timeout=timeout)
        answer = Answer(process.returncode, out, err)
        assert code is None or answer.code == code, f"plexctl {words}: {answer}"
        return answer

    def ask(self, *words: str) -> Any:
        """The JSON answer of a command."""
        return json.loads(self.run(*words, "--json").out)


def typed(lab: Lab, text: str, *words: str, code: int = 0) -> Answer:
    """Run a command with `text` on its standard input."""
    done = subprocess.run(
        [*lab.command, "-C", lab.root, *words],
        input=text,
        env={**os.environ, "XDG_CONFIG_HOME": str(lab.home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.code == code, f"plexctl {words}: {answer}"
    return answer


@dataclass(frozen=True)
class Cluster:
    """A plex as kubectl sees it, through a kubeconfig that a user has kept."""

    kubectl: Path
    kubeconfig: Path

    def run(self, *words: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [self.kubectl, "--kubeconfig", self.kubeconfig, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {words}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self.run("get", *words, "-o", "json"))

    def ready(self) -> set[str]:
        """Names of the nodes that are Ready."""
        return {
            node["metadata"]["name"]
            for node in self.get("nodes")["items"]
            for condition in node["status"]["conditions"]
            if condition["type"] == "Ready" and condition["status"] == "True"
        }


def files_below(*folders: Path) -> Iterator[Path]:
    """All of them, links too. Unlike `rglob` it goes on where a folder goes while it looks."""
    for folder in folders:
        for parent, _, names in os.walk(folder):
            yield from (Path(parent, name) for name in names)


def eventually(
    what: str, look: Callable[[], bool], *, seconds: float = 90, every: float = 0.5
) -> None:
    """Fail unless `look` is true within the time."""
    wait(Condition(what, lambda: Observation(look()), seconds, every=every))


def host() -> IncusHost:
    return IncusHost(LOCAL)


def host_state() -> HostState:
    return host().read()


def objects(plex: str) -> dict[str, object]:
    """All that the host has of a plex, by its tags or by its name, as it is."""
    found = _objects(host_state())
    return {name: one for name, one in found if one.tags.get("plex") == plex or plex in name}


def of_plex(state: HostState, plex: str) -> set[str]:
    """All that is tagged as the plex' on the host."""
    return {name for name, seen in _objects(state) if seen.tags.get("plex") == plex}


def _objects(state: HostState) -> list[tuple[str, Any]]:
    kinds = (state.instances, state.networks, state.acls, state.profiles, state.volumes)
    return [(name, seen) for kind in kinds for name, seen in kind.items()]


def create_network(incus: IncusHost, plan: Plan) -> str:
    """The bridge of a plan with its ACL; returns the name of both."""
    acl = next(r for r in plan.resources if isinstance(r, Acl))
    network = next(r for r in plan.resources if isinstance(r, Network))
    incus.acls.put(acl.name, (), ingress=acl.ingress, egress=acl.egress, exists=False)
    incus.networks.put(network.name, network.config, exists=False)
    return network.name


def delete_network(incus: IncusHost, state: HostState, name: str) -> None:
    if name in state.networks:
        incus.networks.delete(name)
    if name in state.acls:
        incus.acls.delete(name)


def delete_plex_objects(plex: str) -> None:
    """Remove what tests that were killed have left of a plex, in a lab that is lost."""
    incus, state = host(), host_state()
    of_it = of_plex(state, plex)
    for name in of_it & state.instances.keys():
        incus.delete_instance(name)
    for name in of_it & state.profiles.keys():
        incus.profiles.delete(name)
    for name in of_it:
        delete_network(incus, state, name)
    for name in of_it & state.volumes.keys():
        incus.delete_volume(name)


def uptime(name: str) -> float:
    """Since when an instance runs: the start of its first process, in the host's clock ticks."""
    stat = host().execute(name, ("cat", "/proc/1/stat")).stdout
    return float(stat.rsplit(")", 1)[1].split()[19])


def stored_kubectl(folder: Path) -> Path:
    return stored_program("kubernetes", "kubectl", folder)


def stored_program(component: str, name: str, folder: Path) -> Path:
    """A program of the user's depot, which is filled with it if need be."""
    depot = Depot(user_cache_path("plexctl") / "depot")
    release = load_pins().releases[0]
    # To fill it waits for everybody who does, for as long as a build takes.
    stored = depot.find(component, release)
    if stored is None:
        (stored,) = depot.fill(release, [component], Recorder())
    program = folder / name
    shutil.copy(stored.artifact(name).path, program)
    program.chmod(0o755)
    return program


def go_program(name: str, folder: Path) -> Path:
    """One of plexctl's own programs in Go, built as the depot builds it."""
    sources = folder / "sources"
    shutil.copytree(CHECKOUT / "plexctl" / "pins" / name, sources)
    settings = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-o", folder / name, "."],
        cwd=sources,
        env={**os.environ, **settings, "CGO_ENABLED": "0"},
        check=True,
        timeout=1800,
    )
    return folder / name


def uv(*words: str) -> None:
    """Run uv in this checkout."""
    done = subprocess.run(
        [os.environ.get("UV", "uv"), *words],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
