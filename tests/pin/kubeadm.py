"""The kubeadm of a version: its program, its images, and what it writes for a cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from plexctl.clients import process
from plexctl.depot.components import GoModule
from plexctl.depot.golang import Builder, cores
from plexctl.errors import PlexError
from plexctl.plan.kubernetes import kubeadm
from tests.null_reporter import NullReporter
from tests.unit.plan.demo import FACTS, demo_plex

RECORDINGS = Path(__file__).parents[1] / "unit" / "plan"
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
KUBELET = ("config.yaml", "instance-config.yaml")
IMAGES = "images"
"""The file of the images that kubeadm lists."""

NAMES = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} | {
    *("coredns", "pause", "etcd")
}
FOLDER_VARIABLE = "KUBEADM_INIT_DRYRUN_DIR"


def build(module: GoModule, folder: Path) -> Path:
    """kubeadm, built as a depot builds it."""
    builder = Builder("kubernetes", module, folder, NullReporter(), lambda: False, cores())
    return builder.build(("kubeadm",))["kubeadm"]


def images(program: Path, version: str) -> dict[str, str]:
    """The images of a cluster, by name."""
    listed = process.run(
        (program, "config", "images", "list", f"--kubernetes-version=v{version}"), timeout=60
    )
    found = {one.rpartition(":")[0].rpartition("/")[2]: one for one in listed.stdout.split()}
    if found.keys() != NAMES:
        raise PlexError(
            f"kubeadm {version} lists other images than its predecessors: {', '.join(found)}",
            hint="plexctl/depot/images.py has the recipe of each; add what is new there",
        )
    return found


def record(program: Path, version: str, folder: Path) -> Path:
    """Record what kubeadm would write for the plex of the golden tests.

    It needs root and changes nothing.
    """
    folder.mkdir()
    plex = demo_plex(version)
    init, cluster = kubeadm.init_configuration(plex, FACTS)
    del init["patches"]  # patches of addons; the folder is on nodes
    init["nodeRegistration"]["ignorePreflightErrors"] = ["all"]  # this machine is no node
    documents = (
        init,
        cluster,
        kubeadm.kubelet_configuration(plex, FACTS),
        kubeadm.proxy_configuration(plex),
    )
    config = folder / "kubeadm.yaml"
    config.write_text(yaml.safe_dump_all(documents))
    written = folder / "written"
    written.mkdir()
    words = ("init", "--dry-run", f"--config={config}")
    environment = dict(os.environ) | {FOLDER_VARIABLE: str(written)}
    process.run((program, *words), timeout=300, env=environment)
    target = RECORDINGS / f"kubeadm-{version}"
    target.mkdir(exist_ok=True)
    for name in (*(f"{pod}.yaml" for pod in STATIC_PODS), *KUBELET):
        (found,) = written.rglob(name)
        shutil.copyfile(found, target / name)
    listed = sorted(images(program, version).values())
    (target / IMAGES).write_text("".join(f"{one}\n" for one in listed))
    return target
