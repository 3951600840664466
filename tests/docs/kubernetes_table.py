"""plexctl/config/data/kubernetes-1.36.json and the like: what Kubernetes' programs take.

Fields, flags and feature gates of the newest pinned version of each minor version.

`bin/docs kubernetes` writes it. The types come from the Go modules of Kubernetes (main.go beside
this file), the flags from `--help` of the programs in the depot. Deprecated flags are not in the
help: those that the modules' sources hide are added where the program takes them. The feature gates
that all programs have come from the Go modules, since no help lists those of a stable feature.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from plexctl.config.kubernetes_types import NEWEST, OWN_GATES, file_of, minor_of
from plexctl.depot.components import KubernetesRelease
from plexctl.depot.index import Index
from plexctl.depot.pins import load_pins

HERE = Path(__file__).parent
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD = "etcd"
WITH_GATES = (*PROGRAMS, "kubelet", "kube-proxy", ETCD)
NO_SETTINGS = ("help", "version")

_FLAG = re.compile(r"^ {2,6}(?:-\w, )?--([a-zA-Z][-a-zA-Z0-9.]*)(?: (\S+))?(?: {2,}|$)")
_ETCD_FLAG = re.compile(r"^\s{2,}--([a-z][-a-z0-9]*)(?:[ =]'?(.*?)'?)?$")
_GATE = re.compile(r"\b([A-Z][A-Za-z0-9]+)=true\|false")
_HIDDEN = re.compile(r'Mark(?:Deprecated|Hidden)\("([a-z][-a-z0-9]*)"')


def fields(version: str) -> dict[str, Any]:
    """The types and gates that main.go prints, from the pinned modules of a version."""
    component = load_pins().release(version).component("kubernetes")
    assert component.gobuild is not None
    module = component.modules[component.gobuild.module]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "kubernetes" / "main.go", folder)
        (Path(folder) / "go.mod").write_text(module.go_mod)
        (Path(folder) / "go.sum").write_text(module.go_sum)
        # As a depot builds, so that what it has built is not built again.
        command = ["go", "run", "-trimpath", "-mod=mod", "."]
        environment = {**os.environ, "CGO_ENABLED": "0"}
        done = subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def pflags(help_text: str) -> dict[str, str]:
    """Flag -> type in the help of a program with pflag; a flag without a type is a bool."""
    matches = (_FLAG.match(line) for line in help_text.splitlines())
    flags = {found[1]: found[2] or "bool" for found in matches if found}
    return {name: kind for name, kind in flags.items() if name not in NO_SETTINGS}


def etcd_flags(help_text: str) -> dict[str, str]:
    """Flag -> "bool" or "string" in the help of etcd, which shows defaults instead of types."""
    matches = (_ETCD_FLAG.match(line) for line in help_text.splitlines())
    flags = {f[1]: "bool" if f[2] in ("true", "false") else "string" for f in matches if f}
    return {name: kind for name, kind in flags.items() if name not in NO_SETTINGS}


def taken(program: Path, name: str) -> bool:
    """Whether a program knows a flag, which its help may not list."""
    asked = subprocess.run(
        [program, f"--{name}=0", "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    return not re.search("unknown flag|not defined", asked.stdout + asked.stderr)


def hidden(cache: Path, version: str) -> Iterator[str]:
    """Flags that sources of Kubernetes hide."""
    found: set[str] = set()
    folders = (cache / "k8s.io").glob(f"*@v*{version.partition('.')[2]}")
    for file in (file for folder in folders for file in folder.rglob("*.go")):
        if not file.name.endswith("_test.go"):
            found |= set(_HIDDEN.findall(file.read_text(errors="replace")))
    yield from sorted(found)


def help_of(program: Path) -> str:
    asked = subprocess.run(
        [program, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    return asked.stdout + asked.stderr


def gates(version: str, common: dict[str, object]) -> dict[str, dict[str, object]]:
    """program -> its feature gates that are not in `common`, from its help."""
    release, index = load_pins().release(version), Index.of(user_cache_path("plexctl") / "depot")
    table: dict[str, dict[str, object]] = {}
    for name in WITH_GATES:
        with tempfile.TemporaryDirectory() as folder:
            listed = _GATE.findall(help_of(_program(index, release, name, Path(folder))))
        if not listed:
            sys.exit(f"the help of {name} lists no feature gates")
        shared = common if name not in OWN_GATES else {}
        table[name] = {gate: None for gate in sorted(listed) if gate not in shared}
    return table


def flags(version: str) -> dict[str, dict[str, str]]:
    """program -> flag -> type, from the depot of this user."""
    depot = user_cache_path("plexctl") / "depot"
    release, index = load_pins().release(version), Index.of(depot)
    go = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
    deprecated = tuple(hidden(Path(go.stdout.strip()), version))
    table = {}
    for name in (*PROGRAMS, ETCD):
        with tempfile.TemporaryDirectory() as folder:
            program = _program(index, release, name, Path(folder))
            if name == ETCD:
                table[name] = etcd_flags(help_of(program))
                continue
            table[name] = pflags(help_of(program))
            for flag in deprecated:
                if flag not in table[name] and taken(program, flag):
                    table[name][flag] = "string"  # its type is in no help
    return {name: dict(sorted(own.items())) for name, own in table.items()}


def _program(index: Index, release: KubernetesRelease, name: str, folder: Path) -> Path:
    """A copy in `folder` of a program, which is an artifact of the depot or in an image there."""
    for component in ("kubernetes", "images"):
        stored = index.find(component, release)
        if stored is None:
            sys.exit(f"the depot lacks {component}: run `plexctl depot fill` first")
        found = {artifact.name: artifact.path for artifact in stored.artifacts}
        if name in found:
            shutil.copy(found[name], folder / name)
        elif f"{name}.tar" in found:
            _extract(found[f"{name}.tar"], name, folder / name)
    (folder / name).chmod(0o755)
    return folder / name


def _extract(image: Path, name: str, to: Path) -> None:
    """Write the program `name` of an OCI image, whose layers are tars or not."""
    with tarfile.open(image) as outer:
        for blob in filter(tarfile.TarInfo.isfile, outer.getmembers()):
            try:
                with tarfile.open(fileobj=outer.extractfile(blob)) as layer:
                    for member in filter(tarfile.TarInfo.isfile, layer.getmembers()):
                        content = layer.extractfile(member)
                        if content is not None and Path(member.name).name == name:
                            to.write_bytes(content.read())
            except tarfile.ReadError:
                continue


def table(version: str) -> dict[str, Any]:
    found = fields(version)
    source = {
        "kubernetes": version,
        "kubelet": f"KubeletConfiguration of k8s.io/kubelet/config/v1beta1 {version}",
        "proxy": f"KubeProxyConfiguration of k8s.io/kube-proxy/config/v1alpha1 {version}",
        "flags": "--help of each program, and the deprecated flags that it takes",
        "gates": f"the gates of k8s.io/kubernetes {version} (the value of each that is locked,"
        " or null), and --help of each program",
        "generator": "bin/docs kubernetes",
    }
    return {
        "source": source,
        **found,
        "flags": flags(version),
        "gates": found["gates"] | gates(version, found["gates"]["common"]),
    }


def main() -> None:
    """Write the tables of the given versions, by default of the newest of each minor version."""
    newest: dict[str, str] = {}
    for version in load_pins().versions():
        newest.setdefault(minor_of(version), version)
    if NEWEST not in newest:
        sys.exit(f"set NEWEST of plexctl/config/kubernetes_types.py to {next(iter(newest))}")
    for version in sys.argv[1:] or newest.values():
        file = file_of(minor_of(version))
        file.write_text(json.dumps(table(version), indent=1, sort_keys=True) + "\n")
        print(file)


if __name__ == "__main__":
    main()
