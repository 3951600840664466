"""gobuild, with a `go` that answers as the real one does (recorded from Go 1.26)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from plexctl.depot import golang
from plexctl.depot.components import KubernetesRelease, SourceName
from plexctl.depot.pins import load_pins
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from plexctl.model.events import Outcome
from tests.unit.depot.support import Recorder, files_in

GO = """#!%(python)s
import json, os, pathlib, sys
words = sys.argv[1:]
with open(%(log)r, "a") as log:
    kept = {k: os.environ.get(k) for k in ("CGO_ENABLED", "GOTOOLCHAIN", "GOCACHE", "GOMODCACHE")}
    log.write(json.dumps([words, kept, os.getcwd()]) + "\\n")
packages = [w for w in words if "/" in w and not w.startswith(("-", "/", "pkg"))]
match words[0]:
    case "env":
        print("{}" if "-json" in words else %(version)r)
    case "list":
        print("go: downloading k8s.io/api v0.36.3", file=sys.stderr)
        for name in ("fmt", "a", "b", "c"):
            cold = name in ("a", "b")
            print("pkg", name, str(cold).lower(), "build ID mismatch" if cold else "", sep="\\t")
        for name in packages:
            print("pkg", name, "true", "not installed but available in build cache", sep="\\t")
    case "build":
        if %(broken)r:
            print("a.go:1:1: undefined: x", file=sys.stderr)
            sys.exit(1)
        print("a", file=sys.stderr)
        print("b", file=sys.stderr)
        target = pathlib.Path(words[words.index("-o") + 1])
        for name in packages:
            parts = name.split("/")
            (target / (parts[-2] if parts[-1] == "v3" else parts[-1])).write_text(f"built {name}")
"""


class Go:
    """A folder that is the PATH, with a `go` in it."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.log = tmp_path / "path", tmp_path / "go.log"
        self.folder.mkdir()

    def install(self, version: str = "go1.26.8", *, broken: bool = False) -> None:
        script = self.folder / "go"
        values = {"python": sys.executable, "log": str(self.log)}
        script.write_text(GO % {**values, "version": version, "broken": broken})
        script.chmod(0o755)

    def calls(self, verb: str) -> list[tuple[list[str], dict[str, str | None], str]]:
        lines = (json.loads(line) for line in self.log.read_text().splitlines())
        return [(words, env, cwd) for words, env, cwd in lines if words[0] == verb]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    made = Go(tmp_path)
    monkeypatch.setenv("PATH", str(made.folder))
    monkeypatch.setenv("GOCACHE", "/the/users/own")
    return made


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(tmp_path / "depot", Sources(allowed=(SourceName.GOBUILD,)))


def test_each_module_is_built_once_for_all_its_components(
    go: Go, depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    go.install()
    kubernetes, containerd, images = depot.fill(
        release, ["kubernetes", "containerd", "images"], reporter
    )
    assert kubernetes.artifact("kubeadm").path.read_text() == "built k/kubeadm"
    assert containerd.version == "2.3.7"
    assert containerd.notes == ("the official release is 2.3.4",)
    assert images.notes == ("registry.k8s.io/etcd:3.6.8-0 contains etcd 1.36.3",)
    builds = {words[-1]: (words, env, cwd) for words, env, cwd in go.calls("build")}
    assert len(builds) == 2
    words, env, cwd = builds["c/ctr"]
    assert {"-trimpath", "-buildvcs=false"} <= set(words)
    assert words[words.index("-ldflags") + 1] == "-s -w -buildid= -X=c.Version=v2.3.7"
    assert env == {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOCACHE": "/the/users/own",
        "GOMODCACHE": os.environ.get("GOMODCACHE"),
    }
    assert Path(cwd).is_relative_to(depot.root)
    assert not Path(cwd).exists()


def test_a_build_reports_its_expected_time_and_its_progress(
    go: Go,
    depot: Depot,
    release: KubernetesRelease,
    reporter: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go.install()
    monkeypatch.setattr(golang, "cores", lambda: 2)
    depot.fill(release, ["kubernetes"], reporter)
    # 1000 core-seconds, 2 of 6 packages are not in the cache, 2 cores
    assert reporter.expected["build kubernetes 1.36.3 with Go"] == "about 3 minutes"
    assert reporter.shares == [0.5, 1.0]
    assert reporter.end_of("fetch the Go modules of kubernetes") == (Outcome.CHANGED, "1 fetched")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (None, "Go is not installed"),
        ("go1.25.3", "go1.25.3 is too old; this build needs Go 1.26.0"),
    ],
)
def test_without_a_suitable_go_nothing_is_built(
    go: Go,
    depot: Depot,
    release: KubernetesRelease,
    reporter: Recorder,
    version: str | None,
    reason: str,
) -> None:
    if version:
        go.install(version)
    with pytest.raises(PlexError, match="no source") as caught:
        depot.fill(release, ["kubernetes"], reporter)
    assert caught.value.details == (f"kubernetes: gobuild: {reason}",)
    assert reporter.ends == []


def test_runc_names_the_packages_that_it_needs(go: Go, depot: Depot, reporter: Recorder) -> None:
    go.install()
    with pytest.raises(PlexError) as caught:
        depot.fill(load_pins(architecture="amd64").release("1.36.3"), ["runc"], reporter)
    assert caught.value.details == ("runc: gobuild: gcc is not installed",)
    assert caught.value.hint == "`apt-get install gcc pkg-config libc6-dev libseccomp-dev`"


def test_a_failed_build_shows_the_errors_of_the_compiler(
    go: Go, depot: Depot, release: KubernetesRelease, reporter: Recorder
) -> None:
    go.install(broken=True)
    with pytest.raises(PlexError, match="no source can serve containerd") as caught:
        depot.fill(release, ["containerd"], reporter)
    assert caught.value.details == (
        "containerd: gobuild: `go build` of containerd 2.3.7 failed with code 1",
        "    a.go:1:1: undefined: x",
    )
    assert files_in(depot.root) == {"lock"}


OWN = """components:
  own:
    optional: true
    gobuild: {version: 2.3.7, module: containerd, programs: [ctr]}
"""


@pytest.mark.parametrize("sources", [("gobuild",), ("release", "gobuild")])
def test_without_go_an_optional_program_is_left_out_until_the_next_fill(
    go: Go, tmp_path: Path, pins_folder: Path, reporter: Recorder, sources: tuple[str, ...]
) -> None:
    text = (pins_folder / "pins.yaml").read_text()
    (pins_folder / "pins.yaml").write_text(text.replace("components:\n", OWN, 1))
    release = load_pins(pins_folder, "amd64").release("1.36.3")
    depot = Depot(tmp_path / "depot", Sources(allowed=tuple(map(SourceName, sources))))
    (without,) = depot.fill(release, ["own"], reporter)
    with pytest.raises(PlexError, match="no source can serve containerd") as caught:
        gobuild = Sources(allowed=(SourceName.GOBUILD,))
        Depot(tmp_path / "another", gobuild).fill(release, ["own", "containerd"], Recorder())
    assert not any(line.startswith("own:") for line in caught.value.details)
    why = "not from gobuild: Go is not installed"
    assert without.artifacts == ()
    assert without.notes[-1] == why
    assert reporter.end_of("depot: own")[0] is Outcome.UNCHANGED
    assert reporter.end_of("depot: own")[1].endswith(why)
    assert depot.find("own", release) == without  # nothing fetches it again and again
    go.install()
    (built,) = depot.fill(release, ["own"], Recorder())
    assert built.artifact("ctr").path.read_text() == "built c/ctr"
    assert built.digest != without.digest
    assert depot.find("own", release) == built
