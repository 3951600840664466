"""The objects that Argo CD reads on a plex: its repository, and an Application for each app in git.

Every `apps/<app>/config.yml` in the repository has the name of an app, its path and its plexes. An
app gets the facts of the plex by the patches in that file: without a plugin Argo CD has neither
variables like Flux' substitution nor decryption.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from plexctl.model.gitops import Gitops, SourceKind
from plexctl.model.plex import Plex
from plexctl.model.registry import Registry
from plexctl.model.secret import Secret
from plexctl.plan.documents import Document
from plexctl.plan.gitops import flux_sync
from plexctl.plan.gitops.argocd_install import NAMESPACE, PART_OF, Servers
from plexctl.plan.gitops.flux_sync import SourceKeys

APPS, PROJECT, REPOSITORY = "apps", "plex", "plex-repository"
CONFIGS = "apps/*/config.yml"
VERSION = "argoproj.io/v1alpha1"
CLUSTER = "https://kubernetes.default.svc"
"""The cluster that Argo CD runs in."""

ALL = "all"
"""In an app's config.yml, all plexes."""

PATCH = """\
{{- if hasKey . "patches" }}
{{- $patches := toJson .patches }}
{{- range $name, $value := .values }}
{{- $patches = replace (printf "${%s}" $name) $value $patches }}
{{- end }}
spec:
  source:
    kustomize:
      patches: {{ $patches }}
{{- else }}
{}
{{- end }}
"""
"""A Go template: the patches of config.yml, with the facts substituted."""


def sync(
    plex: Plex, gitops: Gitops, registry: Registry | None, keys: SourceKeys
) -> tuple[Document, ...]:
    """Repository, project and ApplicationSet. They contain keys."""
    access = [_repository(gitops, keys)] if keys.access else []
    return (*access, _project(gitops), application_set(plex, gitops, registry))


def facts(plex: Plex, gitops: Gitops, registry: Registry | None) -> dict[str, str]:
    """The variables ${PLEX_…} of patches: those of Flux' substitution, without its source."""
    known = flux_sync.facts(plex, gitops, registry)
    return {name: value for name, value in known.items() if name != "PLEX_SOURCE_KIND"}


def application_set(plex: Plex, gitops: Gitops, registry: Registry | None) -> Document:
    """Creates an Application for each config.yml that names `plex` or ALL."""
    url, revision = gitops.source.url, _revision(gitops)
    git = {
        "repoURL": url,
        "revision": revision,
        "files": [{"path": CONFIGS}],
        # Without a prefix, `path` would be the file's own path, not the field in the file.
        "pathParamPrefix": "file",
        "requeueAfterSeconds": gitops.interval,
        "values": facts(plex, gitops, registry),
    }
    everywhere = {"matchLabels": {f"plexes.{ALL}": "true"}}
    here = {
        "matchLabels": {f"plexes.{plex.name}": "true"},
        # Otherwise two generators would create the same app.
        "matchExpressions": [{"key": f"plexes.{ALL}", "operator": "NotIn", "values": ["true"]}],
    }
    return {
        **_object("ApplicationSet", APPS),
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"git": git, "selector": chosen} for chosen in (everywhere, here)],
            "template": _application(url, revision),
            "templatePatch": PATCH,
        },
    }


def _application(url: str, revision: str) -> Document:
    return {
        "metadata": {
            "name": "{{ .name }}",
            "namespace": NAMESPACE,
            "labels": PART_OF,
            # When an app is removed from git, Argo CD deletes the objects of the app.
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": PROJECT,
            "source": {"repoURL": url, "targetRevision": revision, "path": "{{ .path }}"},
            "destination": {"server": CLUSTER, "namespace": "{{ .namespace }}"},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                # An app may need a CRD or a namespace that another app has yet to apply.
                "retry": {
                    "limit": 10,
                    "refresh": True,
                    "backoff": {"duration": "2s", "factor": 2, "maxDuration": "1m"},
                },
            },
        },
    }


def _project(gitops: Gitops) -> Document:
    any_kind = [{"group": "*", "kind": "*"}]
    return {
        **_object("AppProject", PROJECT),
        "spec": {
            "description": "The apps of this plex, from its repository alone.",
            "sourceRepos": [gitops.source.url],
            "destinations": [{"server": CLUSTER, "namespace": "*"}],
            "clusterResourceWhitelist": any_kind,
        },
    }


def _repository(gitops: Gitops, keys: SourceKeys) -> Document:
    """The credentials of the repository, in Argo CD's format. Known hosts are in a ConfigMap."""
    data = {"type": b"git", "url": gitops.source.url.encode()}
    if gitops.source.kind is SourceKind.SSH:
        data["sshPrivateKey"] = _bytes(keys.access, "identity")
    else:
        data |= {name: _bytes(keys.access, name) for name in ("username", "password")}
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    document = _object("Secret", REPOSITORY) | {"apiVersion": "v1", "type": "Opaque"}
    labels = {**PART_OF, "argocd.argoproj.io/secret-type": "repository"}
    metadata = {**document["metadata"], "labels": labels}
    return {**document, "metadata": metadata, "data": encoded}


def servers(gitops: Gitops, keys: SourceKeys) -> Servers:
    """What the repository's server is verified with, other than the public authorities."""
    host = gitops.source.url.split("/")[2].partition(":")[0]
    lines = _bytes(keys.access, "known_hosts") if "known_hosts" in keys.access else b""
    return Servers(lines.decode(), {host: keys.ca.decode()} if keys.ca else {})


def _bytes(access: Mapping[str, Secret | bytes], name: str) -> bytes:
    value = access[name]
    return value if isinstance(value, bytes) else value.reveal()


def _revision(gitops: Gitops) -> str:
    return gitops.source.tag or gitops.source.branch or "main"


def _object(kind: str, name: str) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": PART_OF}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata}
