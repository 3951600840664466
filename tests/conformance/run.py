"""`bin/test conformance`: upstream's conformance specs on a plex of one master and two workers.

By default those that may run beside each other; `--serial` runs the others, `--quick` ten that take
a second each. Results are in build/conformance: junit.xml, report.json and log.txt.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plexctl.errors import PlexError
from tests.conformance import results, suite

ROOT = Path(__file__).parents[2]
PLEXCTL = ROOT / "bin" / "plexctl"
FOUND = ROOT / "build" / "conformance"
PLEX = "conform"
MINUTES = {"quick": 10, "parallel": 60, "serial": 120}

QUICK = (
    "ConfigMap should be consumable via environment variable",
    "ConfigMap binary data should be reflected in volume",
    "Secrets should be consumable from pods in env vars",
    "Downward API should provide pod name, namespace and IP address as env vars",
    "Kubelet when scheduling a busybox command in a pod should print the output to logs",
    "Networking Granular Checks: Pods should function for intra-pod communication: http",
    "Services should serve a basic endpoint from pods",
    "Variable Expansion should allow composing env vars into new env vars",
    "DNS should provide DNS for services",
    "Watchers should observe add, update, and delete watch notifications on configmaps",
)
"""The beginnings of the names of specs without their group, such as `[sig-node] `."""

QUICK_IMAGES = ("agnhost-2.63", "busybox-", "glibc-dns-testing-")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A plex that is up. `folder` is for results."""

    folder: Path
    lab: Path
    kubeconfig: Path
    kubectl: Path
    nodes: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    kind = "quick" if options.quick else "serial" if options.serial else "parallel"
    try:
        built = suite.build(say)
        with plex(FOUND, keep=options.keep) as cluster:
            load(built, cluster, kind)
            began = time.monotonic()
            run(built, cluster, kind, options.focus)
            seconds = time.monotonic() - began
    except PlexError as error:
        say("\n".join((f"error: {error.summary}", *error.details)))
        return 1
    found = results.read(FOUND / "report.json")
    print(results.text(found, seconds))
    if options.record:
        results.record(kind, found, seconds)
    return 0 if found and not results.failed(found) else 1


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/test conformance", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="ten specs that take a second each")
    which.add_argument("--serial", action="store_true", help="serial, slow and disruptive specs")
    parser.add_argument("--focus", default="", help="a regular expression: only these specs")
    parser.add_argument("--keep", action="store_true", help="use an earlier plex, and keep it")
    parser.add_argument("--record", action="store_true", help="write the figures to docs")
    return parser.parse_args(argv)


@contextmanager
def plex(folder: Path, *, keep: bool) -> Iterator[Cluster]:
    """A plex of a lab in `folder`; it is destroyed at the end unless `keep`."""
    lab = folder / "lab"
    lab.mkdir(parents=True, exist_ok=True)
    if not (lab / "clusters" / PLEX).exists():
        plexctl(lab, "init", PLEX)
    try:
        plexctl(lab, "up", PLEX, "-y")
        kubeconfig, kubectl = folder / "kubeconfig", folder / "kubectl"
        plexctl(lab, "kubeconfig", PLEX, "--output", str(kubeconfig))
        suite.copy_kubectl(kubectl)
        asked = (kubectl, "--kubeconfig", kubeconfig, "get", "nodes", "-o", "name")
        names = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        nodes = tuple(name.removeprefix("node/") for name in names.split())
        yield Cluster(folder, lab, kubeconfig, kubectl, nodes)
    finally:
        if not keep:
            plexctl(lab, "destroy", PLEX, "-y")


def load(built: suite.Suite, cluster: Cluster, kind: str) -> None:
    """Import the images that specs of `kind` start into every node."""
    archives = built.archives
    if kind == "quick":
        archives = tuple(one for one in archives if one.name.startswith(QUICK_IMAGES))
    say(f"importing {len(archives)} images into {len(cluster.nodes)} nodes")
    for archive in archives:
        for node in cluster.nodes:
            importing = ("ctr", "-n", "k8s.io", "images", "import", "-")
            with archive.open("rb") as file:
                plexctl(cluster.lab, "exec", node, "--", *importing, stdin=file.fileno())


def run(built: suite.Suite, cluster: Cluster, kind: str, focus: str) -> None:
    """Run the specs of `kind`. What fails is in the report."""
    slow = r"\[Serial\]|\[Disruptive\]|\[Slow\]"
    chosen = focus or (
        "|".join(rf"\] {results.escaped(name)}" for name in QUICK) if kind == "quick" else ""
    )
    ginkgo = [
        *(built.ginkgo, "--no-color", "--keep-going", "--timeout", f"{MINUTES[kind]}m"),
        *(
            "--output-dir",
            cluster.folder,
            "--json-report",
            "report.json",
            "--junit-report",
            "junit.xml",
        ),
        *("--procs", "1" if kind == "serial" else str(2 * (os.cpu_count() or 1))),
        *("--label-filter", "Conformance"),
        *(("--focus", chosen) if chosen else ()),
        *(("--focus", slow) if kind == "serial" and not chosen else ()),
        *(("--skip", slow) if kind != "serial" else ()),
        built.tests,
        "--",
        *("--kubeconfig", cluster.kubeconfig, "--provider", "skeleton"),
        *("--kubectl-path", cluster.kubectl, "--num-nodes", str(len(cluster.nodes) - 1)),
        "--disable-log-dump=true",
    ]
    say(f"running the specs ({kind}); output is in {cluster.folder / 'log.txt'}")
    for name in ("report.json", "junit.xml"):
        (cluster.folder / name).unlink(missing_ok=True)
    with (cluster.folder / "log.txt").open("w") as log, tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [str(word) for word in ginkgo],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": home},
            cwd=cluster.folder,
            timeout=60 * (MINUTES[kind] + 5),
            check=False,  # it fails if a spec fails
        )
    if not (cluster.folder / "report.json").exists():
        last = (cluster.folder / "log.txt").read_text().splitlines()[-12:]
        raise PlexError("ginkgo ended without a report", details=last)


def plexctl(lab: Path, *words: str, stdin: int = subprocess.DEVNULL) -> None:
    """Run plexctl; PlexError with its last lines if it fails."""
    command = (str(PLEXCTL), "-C", str(lab), *words)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(lab.parent / "home"), "NO_COLOR": "1"}
    done = subprocess.run(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        last = done.stdout.decode(errors="replace").splitlines()[-12:]
        raise PlexError(f"`plexctl {' '.join(words)}` failed", details=last)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
