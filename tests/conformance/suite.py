"""Upstream's end-to-end tests, built from the pinned Go modules in this folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from plexctl.clients import process
from plexctl.depot.golang import go_environment
from plexctl.depot.pins import load_pins
from plexctl.depot.store import Depot
from tests.conformance import images

HERE = Path(__file__).parent
BUILDING = 5400.0
"""Seconds that a build from cold may take beside other work."""

PROGRAMS = {
    "agnhost": "k8s.io/kubernetes/test/images/agnhost",
    "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
    "nonewprivs": "k8s.io/kubernetes/test/images/nonewprivs",
    "sample-apiserver": "k8s.io/sample-apiserver",
}
AGNHOST_FILES = {"localhost.crt": "porter/localhost.crt", "localhost.key": "porter/localhost.key"}


@dataclass(frozen=True, slots=True)
class Suite:
    """A built suite: a folder with the programs and the archives of the images."""

    folder: Path

    @property
    def tests(self) -> Path:
        return self.folder / "e2e.test"

    @property
    def ginkgo(self) -> Path:
        return self.folder / "ginkgo"

    @property
    def archives(self) -> tuple[Path, ...]:
        return tuple(sorted((self.folder / "images").iterdir()))


def build(report: Callable[[str], None]) -> Suite:
    """The suite of the built-in version of Kubernetes. It is stored in the user's cache."""
    module = load_pins().releases[0].component("kubernetes").modules["kubernetes"]
    sources = [(HERE / name).read_text() for name in ("go.mod", "go.sum", "images.py", "suite.py")]
    inputs = json.dumps([sources, sorted(module.variables.items())])
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    base = user_cache_path("plexctl") / "conformance"
    suite = Suite(base / f"{module.version}-{digest}")
    if suite.folder.is_dir():
        return suite
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base, prefix="building-") as name:
        work = Path(name)
        report("building e2e.test and its images; 10 minutes of a processor if nothing is cached")
        _build(work, module.variables)
        for old in base.glob("[0-9]*"):
            shutil.rmtree(old)
        (work / "suite").rename(suite.folder)
    return suite


def copy_kubectl(target: Path) -> None:
    """Copy kubectl of the user's depot, which `up` has filled, to `target`."""
    stored = Depot(user_cache_path("plexctl") / "depot").find("kubernetes", load_pins().releases[0])
    assert stored is not None
    shutil.copy(stored.artifact("kubectl").path, target)
    target.chmod(0o755)


def _build(work: Path, variables: Mapping[str, str]) -> None:
    target = work / "suite"
    (target / "images").mkdir(parents=True)
    for file in ("go.mod", "go.sum"):
        shutil.copy(HERE / file, work)
    flags = " ".join(("-s", "-w", *(f"-X={name}={value}" for name, value in variables.items())))
    common = ("-trimpath", "-buildvcs=false", "-ldflags", flags)
    _go(work, "build", *common, "-o", f"{target}/", *PROGRAMS.values())
    tests = ("-o", target / "e2e.test", "k8s.io/kubernetes/test/e2e")
    _go(work, "test", "-c", "-vet=off", *common, *tests)
    listed = _go(work, "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes")
    agnhost = Path(listed.strip(), "test", "images", "agnhost")
    files = {name: agnhost / path for name, path in AGNHOST_FILES.items()}
    built = {name: target / name for name in PROGRAMS}
    images.write(images.images(files), built, target / "images")


def _go(folder: Path, *words: str | Path) -> str:
    environment = go_environment() | {"CGO_ENABLED": "0"}
    return process.run(("go", *words), timeout=BUILDING, cwd=folder, env=environment).stdout
