"""The engines of apps, whose objects a cluster can have without any image of theirs.

`python -m tests.integration.app_engines` is a plexctl whose new clusters are born with them.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from plexctl.keys.pki import ClusterKeys
from plexctl.model.gitops import AppSource, Gitops, GitopsEngine, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.genesis.applied import addition
from plexctl.plan.gitops import argocd_install, flux_install
from plexctl.plan.gitops.argocd_install import Servers
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import Plan, plan_plex
from plexctl.workflow.plex import converge
from tests.unit.plan.upstream import upstream

from .support import CHECKOUT, Lab

CONTROLLERS = (
    *("source-controller", "kustomize-controller"),
    *("helm-controller", "notification-controller"),
)
IMAGE = "example.test/none:1"


def engines(plex: Plex) -> tuple[Document, ...]:
    """The objects of Argo CD, and of Flux with all of its controllers, without CRDs.

    Nodes do not pull the image: pods are created and bound, and then nothing changes any more.
    """
    source = AppSource(SourceKind.SSH, "ssh://git@git.example.org/lab.git")
    gitops = Gitops(GitopsEngine.ARGOCD, source, "clusters/demo", 60)
    images = dict.fromkeys(("argocd", "redis"), IMAGE)
    password, servers = Secret(b"password"), Servers()
    found = (
        *flux_install.install(plex, dict.fromkeys(CONTROLLERS, IMAGE), upstream(*CONTROLLERS)),
        *argocd_install.install(plex, gitops, images, password, servers, upstream("argocd")),
    )
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            for container in one["spec"]["template"]["spec"]["containers"]:
                container["imagePullPolicy"] = "Never"
    return found


def with_engines(lab: Lab) -> Lab:
    """`lab` with the plexctl of this file."""
    command = (sys.executable, "-m", "tests.integration.app_engines")
    return Lab(lab.root, lab.home, command, {"PYTHONPATH": str(CHECKOUT)})


def _plan_with_engines(plex: Plex, inputs: Inputs) -> Plan:
    ca = ClusterKeys.derive(inputs.seed, plex.name, plex.epoch).ca.pair.certificate
    found = addition(engines(plex), plex.networks.services, ca)
    return plan_plex(plex, replace(inputs, additions=(found,)))


if __name__ == "__main__":
    from plexctl.cli.main import main

    vars(converge)["plan_plex"] = _plan_with_engines
    main()
