"""`bin/genesis`: the contents of etcd from which a cluster is born, recorded from a real one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from plexctl.bootstrap.cluster import cluster
from plexctl.cli.session import opened
from plexctl.clients.kube.dump import read_objects
from plexctl.errors import PlexError
from plexctl.plan.genesis.normal import canonical_text, map_strings, normal_form
from plexctl.render.errors import error_text
from plexctl.workflow.core.context import find_plex
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images.ensure import bake_types
from plexctl.workflow.images.recordings import Place
from plexctl.workflow.images.reference import record

ABOUT = """\
Prints what is in etcd of a cluster, as JSON.

  bin/genesis record 1.36.3 >plexctl/plan/genesis/kubernetes-1.36.3.json
  bin/genesis objects PLEX >objects.json

`record` prints the documents that new clusters of a version are born with. It creates a reference
cluster on the lab's first host, which must be an Incus of this machine, waits until it is at rest,
and deletes it. `objects` prints every object of a plex without UIDs, times and generated names, so
that two clusters can be compared.
"""

TYPE = "kube"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bin/genesis", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "objects"))
    parser.add_argument("name", metavar="VERSION|PLEX")
    parser.add_argument("-C", "--directory", type=Path, default=Path(), help="folder of the lab")
    asked = parser.parse_args(argv)
    found = {"record": recorded, "objects": objects}[asked.what]
    try:
        json.dump(found(asked.directory, asked.name), sys.stdout, indent=1)
    except PlexError as error:
        print(error_text(error, color=False), file=sys.stderr)
        return error.exit_code
    sys.stdout.write("\n")
    return 0


def recorded(directory: Path, kubernetes: str) -> object:
    with (
        opened(directory, quiet=True) as ctx,
        start(ctx.lab.state, "bake", WHOLE_LAB, ctx.listener) as run,
    ):
        key = (next(iter(ctx.lab.hosts)), TYPE)
        node_type = ctx.lab.types[TYPE].with_engine(None)
        image = bake_types(ctx, {key: node_type}, kubernetes, run)[key]
        return record(ctx, Place(key[0], node_type, key), image.name, kubernetes, run)


def objects(directory: Path, name: str) -> object:
    with opened(directory, quiet=True) as ctx:
        plex = find_plex(ctx, name)
        with cluster(plex, ctx.seed) as kube:
            found = normal_form(read_objects(kube))
    return {key: map_strings(one, canonical_text) for key, one in found.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
