"""`bin/pin`: adds a version of Kubernetes to the pins, or records its kubeadm again."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from plexctl.depot.pins import BUILTIN, PINS
from plexctl.errors import PlexError
from plexctl.render.errors import error_text
from tests.pin import kubeadm, modules, sums
from tests.pin.entry import Entry, add

ABOUT = """\
Adds a version of Kubernetes to the built-in pins, or writes again what belongs to it.

  bin/pin kubernetes 1.36.4                   checksums from the project's server
  bin/pin kubernetes 1.36.4 --sums FILE       checksums from a file: see tests/pin/sums.py
  bin/pin kubernetes 1.36.4 --record          only the recorded answers of its kubeadm

It writes plexctl/pins/kubernetes-VERSION/go.mod and go.sum, builds kubeadm from them, asks it for
its images, adds the version to plexctl/pins/pins.yaml, and records what kubeadm writes for the plex
of the golden tests, in tests/unit/plan/kubeadm-VERSION. Go downloads modules; kubeadm needs root.
A version without checksums is pinned without `release`: it can only be built.
"""

VERSION = re.compile(r"1\.[0-9]+\.[0-9]+")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bin/pin", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kubernetes",))
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--sums", type=Path, metavar="FILE", help="file of checksums")
    parser.add_argument("--record", action="store_true", help="only record kubeadm's answers")
    asked = parser.parse_args(argv)
    if not VERSION.fullmatch(asked.version):
        parser.error(f"{asked.version} is not a version such as 1.36.4")
    try:
        pin(asked.version, asked.sums, only_record=asked.record)
    except PlexError as error:
        print(error_text(error, color=False), file=sys.stderr)
        return error.exit_code
    return 0


def pin(version: str, sums_file: Path | None, *, only_record: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="plexctl-pin-") as name:
        work = Path(name)
        if only_record:
            module = modules.pinned(version)
        else:
            print(f"resolve the Go modules of Kubernetes {version}", flush=True)
            module = modules.resolve(version, work / "modules")
        print(f"build kubeadm {version}: some minutes of a processor if it is new", flush=True)
        program = kubeadm.build(module, work / "build")
        folder = kubeadm.record(program, version, work / "record")
        print(f"recorded kubeadm's answers in {folder}", flush=True)
        if not only_record:
            images = kubeadm.images(program, version)
            checksums = sums.of_file(sums_file, version) if sums_file else sums.published(version)
            if not checksums:
                print(f"no checksums of {version} here: it can only be built", flush=True)
            modules.write(version, module)
            add(BUILTIN / PINS, Entry(version, module, images, checksums))
            print(NEXT)


NEXT = """\
next:
  bin/test unit tests/unit/depot tests/unit/plan    the golden tests show what kubeadm changed
  bin/docs kubernetes                               types, flags and gates, once the depot has it
  bin/genesis record VERSION                        what its clusters start with, for the newest"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
