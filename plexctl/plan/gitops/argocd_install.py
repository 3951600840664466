"""Argo CD on a plex: upstream's core install, changed by argocd.yaml."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from plexctl.model.gitops import Gitops
from plexctl.model.plex import API_PORT, Plex
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.gitops import overlay

NAMESPACE = "argocd"
PART_OF = {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/managed-by": "plexctl"}
"""Argo CD finds its settings by the first."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The certificates and keys with which Argo CD verifies git servers."""

    known_hosts: str = ""  # lines as ssh-keyscan prints them
    authorities: Mapping[str, str] = field(default_factory=dict)  # host -> certificates in PEM


def install(
    plex: Plex,
    gitops: Gitops,
    images: Mapping[str, str],
    redis: Secret,
    servers: Servers,
    upstream: Iterable[Document],
) -> tuple[Document, ...]:
    """The documents to apply once the API answers, the namespace first. They contain no CRDs.

    `images` has the references of `argocd` and `redis`; `redis` is the password of Redis, and the
    documents contain it. `upstream` is manifests/core-install.yaml.
    """
    values = {
        **images,
        "API_ADDRESS": str(plex.networks.endpoint),
        "API_PORT": str(API_PORT),
        "INTERVAL": f"{gitops.interval}s",
    }
    documents = overlay.apply(overlay.load("argocd.yaml"), upstream, values, NAMESPACE, PART_OF)
    data = _data(redis, servers)
    return tuple(
        {**one, "data": data[name]}
        if (name := one["metadata"]["name"]) in data and one["kind"] in ("ConfigMap", "Secret")
        else one
        for one in documents
    )


def _data(redis: Secret, servers: Servers) -> dict[str, dict[str, str]]:
    """The whole contents of a Secret and two ConfigMaps, by name."""
    password = redis.reveal()
    files = {
        "auth": password,
        "redis.conf": b'save ""\nappendonly no\ndir /tmp\nrequirepass ' + password + b"\n",
    }
    return {
        "argocd-redis": {name: base64.b64encode(text).decode() for name, text in files.items()},
        "argocd-ssh-known-hosts-cm": {"ssh_known_hosts": servers.known_hosts},
        "argocd-tls-certs-cm": dict(servers.authorities),
    }
