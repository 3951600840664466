"""The Go modules that a version of Kubernetes is built from: go.mod and go.sum."""

from __future__ import annotations

import json
import re
from pathlib import Path

from plexctl.clients import process
from plexctl.depot.components import CProgram, GoModule
from plexctl.depot.golang import go_environment
from plexctl.depot.pins import BUILTIN, KUBERNETES, load_pins
from plexctl.errors import PlexError

PATH = "k8s.io/kubernetes"
PROGRAMS = (
    *("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"),
    *("kubeadm", "kubectl", "kubelet"),
)
CORE_SECONDS = 780
"""Processor time of a build from cold: that of the versions before."""

_STAGING = re.compile(r"^\s*(?:replace\s+)?(k8s\.io/\S+) => \./staging/", re.MULTILINE)
_GO = re.compile(r"^go (\S+)$", re.MULTILINE)


def name_of(version: str) -> str:
    """The name of the module of a version, and of its folder in the pins."""
    return f"{KUBERNETES}-{version}"


def resolve(version: str, folder: Path) -> GoModule:
    """The module of a version, with the versions of all modules that Kubernetes itself chose.

    Kubernetes' own modules are folders of its repository there: here they are of the same release.
    PlexError if the module proxy does not serve one of them.
    """
    folder.mkdir()
    described = _go(folder, "mod", "download", "-json", f"{PATH}@v{version}")
    found = json.loads(described)
    upstream = Path(found["GoMod"]).read_text()
    released = json.loads(Path(found["Info"]).read_text())["Time"]
    go = _GO.search(upstream)
    assert go is not None, found["GoMod"]
    staging = f"v0.{version.partition('.')[2]}"
    replaced = [f"\t{path} => {path} {staging}" for path in sorted(_STAGING.findall(upstream))]
    text = "\n".join(
        (f"module plexctl/{KUBERNETES}\n", f"go {go[1]}\n", "replace (", *replaced, ")", "")
    )
    (folder / "go.mod").write_text(text)
    packages = (f"{PATH}/cmd/{program}@v{version}" for program in PROGRAMS)
    _go(folder, "get", "-tool", *packages)
    return _module(
        version, (folder / "go.mod").read_text(), (folder / "go.sum").read_text(), released
    )


def pinned(version: str) -> GoModule:
    """The module of a version that is pinned already."""
    gobuild = load_pins().release(version).component(KUBERNETES).gobuild
    assert gobuild is not None
    return load_pins().release(version).component(KUBERNETES).modules[gobuild.module]


def write(version: str, module: GoModule) -> None:
    """Write go.mod and go.sum of a version to the pins."""
    folder = BUILTIN / name_of(version)
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text(module.go_mod)
    (folder / "go.sum").write_text(module.go_sum)


def _module(version: str, go_mod: str, go_sum: str, released: str) -> GoModule:
    minor = version.split(".")[1]
    facts = {
        "gitVersion": f"v{version}",
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,  # the module's zip does not contain it; nothing reads it
        "buildDate": released,
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return GoModule(
        version=version,
        core_seconds=CORE_SECONDS,
        programs={program: f"{PATH}/cmd/{program}" for program in PROGRAMS},
        variables={f"{one}.{name}": fact for one in packages for name, fact in facts.items()},
        c_programs={"pause": CProgram("", PATH, "build/pause/linux/pause.c")},
        go_mod=go_mod,
        go_sum=go_sum,
    )


def _go(folder: Path, *words: str) -> str:
    environment = go_environment() | {"GOFLAGS": "-mod=mod"}
    try:
        return process.run(("go", *words), timeout=1800, cwd=folder, env=environment).stdout
    except PlexError as error:
        raise PlexError(
            f"`go {words[0]}` cannot resolve {PATH}",
            details=(error.summary, *error.details),
            hint="the version must be served by the Go module proxy: "
            f"`go list -m -versions {PATH}` lists those that are",
        ) from error
