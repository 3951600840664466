"""The first files of a plex with apps: a tree for Flux, and the fields that enable it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from plexctl.config.builtin import builtin
from plexctl.config.edit import add_field
from plexctl.config.host_fields import RegistryFields
from plexctl.config.networks import each, free_networks
from plexctl.errors import UsageError
from plexctl.model.folder import write_missing
from plexctl.model.lab import Lab

BASE = "omniplex"
"""The folder below clusters/ that all plexes share. It is not a plex."""

FIRST_APP = "hello-world"
GITOPS = "{engine: flux, source: registry}"
REGISTRY_NETWORK = RegistryFields().network


def check_names(plex: str, apps: Collection[str]) -> None:
    """UsageError if the name of the plex is reserved, or if there is no such app."""
    if plex in (BASE, RegistryFields().name):
        raise UsageError(f"'{plex}' cannot be the name of a plex: it is reserved")
    known = sorted(folder.name for folder in builtin("apps").iterdir() if folder.is_dir())
    for app in apps:
        if app not in known:
            raise UsageError(f"there is no app '{app}'", hint=f"use one of {', '.join(known)}")


def write_gitops(lab: Lab, plex: str, apps: Sequence[str] = ()) -> tuple[Path, ...]:
    """Write the files that Flux applies to `plex` of `lab`, with hello-world and `apps`.

    Returns the files that are new or changed. Existing files stay as they are; only plex.yaml and
    hosts.yaml get a line each if they lack it.
    """
    root, written = lab.root, list[Path]()
    hosts_file = root / "clusters" / "hosts.yaml"
    for folder in (f"clusters/{BASE}", *(f"apps/{app}" for app in (FIRST_APP, *apps))):
        source = builtin(folder.split("/")[0]) / Path(folder).name
        written += _copy(root, source, root / folder)
    own = root / "clusters" / plex
    for name, content in _own_files(plex).items():
        file = own / name
        if write_missing(root, file, content.encode()):
            written.append(file)
    if lab.plexes[plex].gitops is None:
        # The registry first: the lab is valid even if the run ends between the two.
        if lab.registry is None and add_field(root, hosts_file, "registry", _registry(lab)):
            written.append(hosts_file)
        if add_field(root, own / "plex.yaml", "gitops", GITOPS):
            written.append(own / "plex.yaml")
    return tuple(written)


def _copy(root: Path, source: Path, target: Path) -> list[Path]:
    written = []
    for file in sorted(file for file in source.rglob("[!.]*") if file.is_file()):
        copy = target / file.relative_to(source)
        if write_missing(root, copy, file.read_bytes()):
            written.append(copy)
    return written


def _registry(lab: Lab) -> str:
    """The registry with its defaults, or with another network if a plex uses the default one."""
    used = [net for plex in lab.plexes.values() for net in each(plex.networks).values()]
    if not any(REGISTRY_NETWORK.overlaps(other) for other in used):
        return "{}"
    return f"{{network: {free_networks(used).nodes}}}"


def _own_files(plex: str) -> dict[str, str]:
    """The files of this plex only, by their paths below clusters/<plex>/."""
    return {
        "kustomization.yaml": _OWN.format(base=BASE, plex=plex),
        "secrets/kustomization.yaml": _ENCRYPTED,
        "secrets/namespaces.yaml": _ENCRYPTED_NAMESPACES,
        "infra/kustomization.yaml": _INFRA,
        "infra/namespaces.yaml": _INFRA_NAMESPACES,
    }


_OWN = """\
# Everything that Flux applies to {plex}. `plexctl flux push` delivers changes.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../{base}
  # - apps.yaml  # further apps of this plex, one Flux Kustomization each, as in ../{base}/apps.yaml
components:
  - ../{base}/settings
# patches:  # where this plex differs from the others
#   - target: {{kind: Kustomization, name: hello-world}}
#     patch: |
#       - {{op: replace, path: /spec/interval, value: 1m}}
"""

_ENCRYPTED = """\
# Secrets. SOPS has encrypted their `data` and `stringData` for the key of this lab.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - namespaces.yaml
  # - hello-world.yaml
"""

_ENCRYPTED_NAMESPACES = """\
# Flux applies Secrets, and so their namespaces, before the apps. A namespace that exists already is
# not changed, and removing it from this file does not delete it.
apiVersion: v1
kind: Namespace
metadata:
  name: hello-world
  labels:
    pod-security.kubernetes.io/enforce: restricted
  annotations:
    kustomize.toolkit.fluxcd.io/ssa: IfNotPresent
    kustomize.toolkit.fluxcd.io/prune: disabled
"""

_INFRA = """\
# The base of the apps of this plex. Each line is a folder of apps/, or a file of your own.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - namespaces.yaml
  # - ../../../apps/local-path
  # - ../../../apps/metrics-server
"""

_INFRA_NAMESPACES = """\
# A namespace for infrastructure of your own. Apps of apps/ have their own namespaces.
apiVersion: v1
kind: Namespace
metadata:
  name: infra
"""
