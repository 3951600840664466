"""The client of the `go` command: versions, flags, caches, progress."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plexctl.clients import process
from plexctl.clients.environment import GO, NETWORK, environment
from plexctl.depot.components import FilePin, GoModule
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter

_ENVIRONMENT = {
    "GOENV": "off",  # what `go env -w` has written decides only about _USERS
    "GOTOOLCHAIN": "local",  # never fetch another Go unasked
    "GOFLAGS": "-mod=readonly",
    "GOWORK": "off",
}
_USERS = tuple(name for name in GO if name != "NETRC")
"""Settings of Go that stay as the user has them, in the environment or by `go env -w`."""

_KEPT_LINES = 12
_OFFLINE = re.compile(r"no such host|dial tcp|connection refused|i/o timeout")


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds programs of one module in a folder of its own.

    `stopped` ends a build early; `processors` is about how many processors this build may use.
    """

    name: str
    module: GoModule
    folder: Path
    reporter: Reporter
    stopped: Callable[[], bool]
    processors: float

    def build(self, programs: Sequence[str]) -> dict[str, Path]:
        """Build `programs`; returns their files by name.

        Uses the user's Go caches, so that a second build takes seconds.
        """
        self.folder.mkdir()
        (self.folder / "go.mod").write_text(self.module.go_mod)
        (self.folder / "go.sum").write_text(self.module.go_sum)
        for name, content in self.module.sources.items():
            (self.folder / name).write_text(content)
        packages = {
            name: self.module.programs[name] for name in programs if name in self.module.programs
        }
        cold, total = self._cold(tuple(packages.values()))
        built = self._build(packages, cold, total)
        c_programs = [name for name in programs if name in self.module.c_programs]
        return built | {name: self._compile_c(name) for name in c_programs}

    def _cold(self, packages: Sequence[str]) -> tuple[frozenset[str], int]:
        """Fetch the module's sources; returns the packages to build, and the number of all."""
        cold, total, fetched = set[str](), 0, 0
        with self.reporter.step(f"fetch the Go modules of {self.name}") as step:

            def on_line(line: str) -> None:
                nonlocal total, fetched
                if line.startswith("pkg\t"):
                    total += 1
                    _, package, stale, reason = line.split("\t")
                    if stale == "true" and "available in build cache" not in reason:
                        cold.add(package)
                elif line.startswith("go: downloading "):
                    fetched += 1
                    step.progress(line.removeprefix("go: "))

            shown = "pkg\t{{.ImportPath}}\t{{.Stale}}\t{{.StaleReason}}"
            self._go("list", (*self._flags(), "-deps", "-f", shown, "--", *packages), on_line)
            step.end(Outcome.CHANGED if fetched else Outcome.UNCHANGED, f"{fetched} fetched")
        return frozenset(cold), total

    def _build(self, packages: dict[str, str], cold: frozenset[str], total: int) -> dict[str, Path]:
        folder = self.folder / "bin"
        folder.mkdir()
        seconds = self.module.core_seconds * len(cold) / max(1, total) / self.processors
        title = f"build {self.name} {self.module.version} with Go"
        with self.reporter.step(title, expect=_about(seconds)) as step:
            done = 0
            step.progress(f"0 of {len(cold)} packages" if cold else "linking")

            def on_line(line: str) -> None:
                nonlocal done
                if line in cold:
                    done += 1
                    step.progress(f"{done} of {len(cold)} packages", done / len(cold))
                    if done == len(cold):
                        step.progress("linking")

            link = [*("-s", "-w", "-buildid="), *self._variables()]
            if self.module.cgo:
                link += ["-linkmode=external", "-extldflags=-static"]
            options = ("-v", "-buildvcs=false", "-ldflags", " ".join(link), "-o", f"{folder}/")
            self._go("build", (*self._flags(), *options, "--", *packages.values()), on_line)
            step.end(Outcome.CHANGED, f"{len(packages)} programs")
        built = {}
        for name, package in packages.items():
            file = _file_name(package, self.module.go_mod)
            built[name] = (folder / file).rename(self.folder / name)
        return built

    def _flags(self) -> tuple[str, ...]:
        return ("-trimpath", *(("-tags", ",".join(self.module.tags)) if self.module.tags else ()))

    def _variables(self) -> list[str]:
        return [f"-X={name}={value}" for name, value in self.module.variables.items()]

    def _compile_c(self, name: str) -> Path:
        """Compile a program whose C source is in one of the module's Go modules."""
        program = self.module.c_programs[name]
        listed = process.run(
            ("go", "list", "-m", "-f", "{{.Dir}}", "--", program.module),
            timeout=120,
            cwd=self.folder,
            env=self._environment(),
        )
        source = Path(listed.stdout.strip()) / program.source
        target = self.folder / name
        flags = ("-Os", "-Wall", "-static", "-s", f"-DVERSION=v{program.version}")
        process.run(("gcc", *flags, "-o", target, source), timeout=120)
        return target

    def _environment(self) -> dict[str, str]:
        return go_environment() | {"CGO_ENABLED": "1" if self.module.cgo else "0"}

    def _go(self, verb: str, words: Sequence[str], on_line: Callable[[str], None]) -> None:
        last: deque[str] = deque(maxlen=_KEPT_LINES)

        def read(line: str) -> None:
            if self.stopped():
                raise PlexError(f"the build of {self.name} was stopped")
            last.append(line)
            on_line(line)

        code = process.stream(("go", verb, *words), read, cwd=self.folder, env=self._environment())
        if code != 0:
            offline = any(_OFFLINE.search(line) for line in last)
            raise PlexError(
                f"`go {verb}` of {self.name} {self.module.version} failed with code {code}",
                details=last,
                hint="sources come from a Go module proxy; `go env GOPROXY` prints its address"
                if offline
                else None,
            )


def module_yaml(module: GoModule, pin: FilePin, folder: Path) -> bytes:
    """A YAML file of one of `module`'s Go modules, or all YAML of a folder as one stream.

    Creates `folder` and deletes it.
    """
    folder.mkdir()
    try:
        (folder / "go.mod").write_text(module.go_mod)
        (folder / "go.sum").write_text(module.go_sum)
        listed = process.run(
            ("go", "list", "-m", "-f", "{{.Dir}}", "--", pin.source),
            timeout=120,
            cwd=folder,
            env=go_environment(),
        )
    finally:
        shutil.rmtree(folder)
    found = Path(listed.stdout.strip()) / pin.path
    files = [found] if found.is_file() else sorted(found.glob("*.yaml"))
    documents = [file.read_bytes() for file in files if file.name != "kustomization.yaml"]
    if not documents:
        raise PlexError(f"{pin.source} {module.version} has no YAML in {pin.path}")
    return b"\n---\n".join(documents)


def go_environment() -> dict[str, str]:
    """The environment of the go command.

    Where modules come from and where caches are is as the user has set it. Nothing else of the
    user's settings counts: the same pins give the same programs.
    """
    users = environment(NETWORK, GO)
    return users | _settings(tuple(users.items())) | _ENVIRONMENT


@functools.cache
def _settings(users: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The settings _USERS as `go env -w` has written them, or Go's defaults."""
    env = dict(users) | {"GOTOOLCHAIN": "local"}
    asked = process.run(("go", "env", "-json", *_USERS), timeout=30, env=env)
    return dict(json.loads(asked.stdout))


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def require(module: GoModule, c_programs: bool) -> None:
    """PlexError if this machine lacks something that the build of `module` needs."""
    needs = re.search(r"^go (\S+)$", module.go_mod, re.MULTILINE)
    assert needs is not None
    hint = f"install Go {needs[1]} or newer (https://go.dev/dl)"
    if shutil.which("go") is None:
        raise PlexError("Go is not installed", hint=hint)
    asked = process.run(("go", "env", "GOVERSION"), timeout=30, env=go_environment())
    has = re.search(r"\d+(\.\d+)*", asked.stdout)
    if has is None or _numbers(has[0]) < _numbers(needs[1]):
        raise PlexError(
            f"{asked.stdout.strip()} is too old; this build needs Go {needs[1]}", hint=hint
        )
    tools = (
        *(("gcc",) if c_programs or module.cgo else ()),
        *(("pkg-config",) if module.cgo else ()),
    )
    libraries = tuple(f"{library}-dev" for library in module.cgo)
    hint = f"`apt-get install {' '.join((*tools, 'libc6-dev', *libraries))}`"
    for tool in tools:
        if shutil.which(tool) is None:
            raise PlexError(f"{tool} is not installed", hint=hint)
    for library in module.cgo:
        found = process.run(("pkg-config", "--exists", "--", library), timeout=30, check=False)
        if found.code != 0:
            raise PlexError(f"the library {library} is not installed", hint=hint)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _about(seconds: float) -> str:
    if seconds < 20:
        return ""
    return f"about {round(seconds / 60)} minutes" if seconds >= 90 else "about a minute"


def _file_name(package: str, go_mod: str) -> str:
    """The name that `go build` gives a program: the last part of its path, no major version."""
    if package == ".":  # our own sources, beside go.mod
        own = re.search(r"^module (\S+)$", go_mod, re.MULTILINE)
        assert own is not None
        package = own[1]
    parts = package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]
