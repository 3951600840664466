"""`lxdbake`: the image of one type on one base, baked on one host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode, UsageError
from plexctl.scripts.entry import arguments

ABOUT = """\
Bakes the image of a type of nodes on a base, on a host of clusters/hosts.yaml. What is baked
already costs a look; `plexctl bake` does it for all that the lab's plexes have. A BASE other than
the type's own stands in for it. NODE is what the baking instance was called once: an image is now
found by its recipe, a bake names its instances itself, and NODE is only shown.

  lxdbake local:demo0 kube debian12
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("lxdbake", ABOUT)
    add = parser.add_argument
    add("where", metavar="HOST:NODE", help="as in local:demo0")
    add("type", metavar="TYPE", help="a file in types/: kube")
    add("base", metavar="BASE", help="an entry of types/bases.yaml: debian12")
    add("--kubernetes", metavar="VERSION", help="default: the newest that a plex has")
    add("--engine", choices=("flux", "argocd"), help="with the layer that brings up apps")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("-v", "--verbose", action="store_true", help="show every instant")
    add("-C", "--directory", type=Path, default=Path(), metavar="DIR", help="the lab is here")
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
    print(images_text.bake(result))
    print(f"{node}: {result.images[0].name} on {host}")
    return ExitCode.DONE


def where(words: str) -> tuple[str, str]:
    """HOST:NODE. UsageError if it is not both."""
    found = re.fullmatch(r"([^:\s]+):([^:\s]+)", words)
    if not found:
        raise UsageError(f"{words!r} is not HOST:NODE", hint="as in local:demo0")
    return found[1], found[2]
