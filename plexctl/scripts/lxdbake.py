"""`lxdbake`: bakes the image of one type on one base, on one host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode, UsageError, visible
from plexctl.scripts.entry import arguments

ABOUT = """\
Bakes the image of a type of nodes on a base, on a host of clusters/hosts.yaml. An image that exists
is not baked again. `plexctl bake` bakes the images of all plexes of the lab. BASE replaces the base
of the type. NODE was once the name of the baking instance; now it is only printed.

  lxdbake local:demo0 kube debian12
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("lxdbake", ABOUT)
    add = parser.add_argument
    add("where", metavar="HOST:NODE", help="as in local:demo0")
    add("type", metavar="TYPE", help="a file in types/: kube")
    add("base", metavar="BASE", help="an entry of types/bases.yaml: debian12")
    add("--kubernetes", metavar="VERSION", help="default: the newest that a plex uses")
    add("--engine", choices=("flux", "argocd"), help="add the layer of a gitops engine")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("-v", "--verbose", action="store_true", help="show every event")
    add("-C", "--directory", type=Path, default=Path(), metavar="DIR", help="folder of the lab")
    asked = parser.parse_args(argv)
    host, node = where(asked.where)
    from plexctl.cli.session import opened
    from plexctl.model.gitops import GitopsEngine
    from plexctl.render import images_text
    from plexctl.scripts.bake_on import bake_on

    with opened(asked.directory, quiet=asked.quiet, verbose=asked.verbose) as ctx:
        engine = GitopsEngine(asked.engine) if asked.engine else None
        result = bake_on(
            ctx, host, asked.type, asked.base, kubernetes=asked.kubernetes, engine=engine
        )
    print(visible(images_text.bake(result)))
    print(f"{node}: {result.images[0].name} on {host}")
    return ExitCode.DONE


def where(words: str) -> tuple[str, str]:
    """HOST:NODE. UsageError if it is not both."""
    found = re.fullmatch(r"([^:\s]+):([^:\s]+)", words)
    if not found:
        raise UsageError(f"{words!r} is not HOST:NODE", hint="an example: local:demo0")
    return found[1], found[2]
