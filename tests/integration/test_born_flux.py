"""A cluster that is born with Flux is the one that Flux is applied to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .both_ways import at_rest, bear, differences, grow
from .support import Lab

PLEX = "birthflux"
HOSTS = """\
hosts: {local: {kind: incus}}
registry: {name: birthreg, network: 10.79.6.0/24}
"""

SETTINGS = {
    PLEX: """\
kubernetes: "1.36"
workers: 0
networks: {nodes: 10.79.5.0/24, pods: 10.194.0.0/16, services: 10.103.64.0/20}
gitops: {engine: flux, source: registry}
groups: [{nodes: "1", taints: []}]
"""
}
"""One node, which takes everything: so both ways bind all pods to the same one."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("flux"), tmp_path_factory.mktemp("home"))
    (lab.root / "clusters").mkdir()
    (lab.root / "clusters" / "hosts.yaml").write_text(HOSTS)
    lab.run("init", "--gitops", PLEX)
    yield lab
    lab.run("destroy", PLEX, "-y")
    lab.run("registry", "destroy", "-y")


def test_flux_is_born_as_it_is_applied(lab: Lab) -> None:
    grow(lab, SETTINGS)
    grown = at_rest(lab, PLEX)
    bear(lab, SETTINGS)
    born = at_rest(lab, PLEX)

    found = differences(grown, born)
    assert not found, "\n".join(found)
    sources = "/registry/source.toolkit.fluxcd.io/ocirepositories/flux-system/plex"
    assert born[sources]["status"]["artifact"]["revision"].startswith("tree@sha256:")
