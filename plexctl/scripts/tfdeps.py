"""`tfdeps`: the dependencies of objects in a state or a configuration of OpenTofu."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from plexctl.errors import ExitCode, visible
from plexctl.scripts import dependencies, tofu
from plexctl.scripts.entry import arguments, text_of
from plexctl.scripts.genders import read

ABOUT = """\
Lists the dependencies of each object of OpenTofu or Terraform. FILE is a state, or the output of
`tofu show -json` or `tofu graph`; - is standard input. Without FILE, the state of the current
folder is read.

  tfdeps
  tfdeps terraform.tfstate
  tofu show -json saved.tfplan | tfdeps --dot - | dot -Tsvg >plan.svg
"""


def main(argv: Sequence[str]) -> int:
    parser = arguments("tfdeps", ABOUT)
    parser.add_argument("file", metavar="FILE", nargs="?", help="default: the current state")
    parser.add_argument(
        "-a", "--all", action="store_true", help="list objects without dependencies too"
    )
    parser.add_argument("--dot", action="store_true", help="a graph for Graphviz")
    asked = parser.parse_args(argv)
    graph = dependencies.read(_text(asked.file), asked.file or "the current state")
    if asked.dot:
        print(dependencies.as_dot(graph))
    elif shown := dependencies.as_text(graph, everything=asked.all):
        print(visible(shown))
    return ExitCode.DONE


def _text(file: str | None) -> str:
    if file is None:
        return tofu.find().ask("state", "pull").stdout
    return text_of(sys.stdin) if file == "-" else read(Path(file))
