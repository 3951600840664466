"""An entry of a version of Kubernetes in pins.yaml, as text: the comments of the file stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.depot.components import GoModule
from plexctl.errors import UsageError
from tests.pin.modules import name_of
from tests.pin.sums import PROGRAMS, Sums

SHARED = ("coredns", "etcd")
"""Images that are built from a module of their own name, the same for all versions."""

URL = "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/"

_VERSION = re.compile(r"^  (\d+\.\d+\.\d+):$")
_MODULES = "modules:"


@dataclass(frozen=True, slots=True)
class Entry:
    """A version, the module that builds it, its images by name, and its checksums."""

    version: str
    module: GoModule
    images: Mapping[str, str]
    sums: Sums

    def lines(self) -> list[str]:
        """The entry below `kubernetes`."""
        own, programs = name_of(self.version), ", ".join(PROGRAMS)
        lines = [f"  {self.version}:"]
        if self.sums:
            lines += ["    release:", f"      version: {self.version}", "      downloads:"]
            for program in PROGRAMS:
                lines += [f"        - url: {URL}{program}", "          sha256:"]
                lines += [f"            {arch}: {sha}" for arch, sha in self.sums[program].items()]
                lines += [f"          artifact: {program}"]
        else:
            lines += ["    # No `release`: nobody has its checksums yet. It can only be built."]
        lines += [
            "    gobuild:",
            f"      version: {self.version}",
            f"      module: {own}",
            f"      programs: [{programs}]",
            "    images:",
        ]
        for name, reference in self.images.items():
            module = name if name in SHARED else own
            lines += [f'      {name}: {{reference: "{reference}", module: {module}}}']
        return [*lines, ""]

    def module_lines(self) -> list[str]:
        """The entry below `modules`."""
        module = self.module
        pause = self.images["pause"].rpartition(":")[2]
        source = module.c_programs["pause"]
        lines = [f"  {name_of(self.version)}:", f"    version: {self.version}"]
        lines += [f"    core_seconds: {module.core_seconds}", "    programs:"]
        lines += [f"      {name}: {package}" for name, package in sorted(module.programs.items())]
        at = f"{{version: {pause}, module: {source.module}, source: {source.source}}}"
        lines += ["    c_programs:", f"      pause: {at}", "    variables:"]
        lines += [f"      {name}: {_text(value)}" for name, value in module.variables.items()]
        return [*lines, ""]


def add(file: Path, entry: Entry) -> None:
    """Add an entry to pins.yaml, the newest version first. UsageError if it has that version."""
    lines = file.read_text().splitlines()
    first, end = (
        lines.index(next(o for o in lines if o.startswith("kubernetes:"))),
        lines.index(_MODULES),
    )
    found = {at: _VERSION.match(line) for at, line in enumerate(lines[first:end], first)}
    versions = {at: match[1] for at, match in found.items() if match}
    if entry.version in versions.values():
        raise UsageError(
            f"{file} has Kubernetes {entry.version} already",
            hint="`--record` records only its kubeadm; remove the entry to write it again",
        )
    older = (at for at, version in versions.items() if _numbers(version) < _numbers(entry.version))
    before = next(older, end)
    own_modules = (at for at, line in enumerate(lines) if at > end and line == "  containerd:")
    module_at = next(own_modules)
    lines[module_at:module_at] = entry.module_lines()
    lines[before:before] = entry.lines()
    file.write_text("\n".join(lines) + "\n")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _text(value: str) -> str:
    return f'"{value}"' if value.isdigit() else value
