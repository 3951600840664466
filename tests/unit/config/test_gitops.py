"""The field `gitops` of a plex, with Argo CD and with Flux."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.model.gitops import GitopsEngine, SourceKind

from .labs import VERSIONS, lab, plex_faults


def test_argo_cd_reads_a_git_repository(tmp_path: Path) -> None:
    text = "gitops: {engine: argocd, source: 'https://git.example.org/lab.git', branch: lab}"
    plex = load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]

    assert plex.gitops is not None
    assert (plex.gitops.engine, plex.gitops.source.kind) == (GitopsEngine.ARGOCD, SourceKind.HTTPS)
    layers = {layer.name for layer in plex.type.layers}
    assert "argocd" in layers
    assert "flux" not in layers


def test_user_and_ca_apply_to_https_and_oci_sources(tmp_path: Path) -> None:
    fields = "user: me, ca: clusters/hosts.yaml"
    text = f"gitops: {{source: 'oci://registry.example.org/lab', {fields}}}"
    plex = load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]
    assert plex.gitops is not None
    assert plex.gitops.source.user == "me"
    assert plex.gitops.source.ca == tmp_path / "clusters" / "hosts.yaml"

    ssh = f"source: 'ssh://git@a.org/b', known_hosts: clusters/hosts.yaml, {fields}"
    found = plex_faults(tmp_path, f"gitops: {{{ssh}}}")
    assert len(found) == 2
    assert all("applies to https and oci sources only, not to ssh (remove it)" in f for f in found)
    missing = plex_faults(tmp_path, "gitops: {source: 'https://a.org/b', ca: clusters/none.crt}")
    assert "there is no file" in missing[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            "source: oci://a.org/b",
            "must be a git repository for Argo CD (use an ssh:// or https://",
        ),
        ("source: oci://a.org/b", "note that Argo CD does not decrypt Secrets of SOPS"),
        (
            "source: https://a.org/b, verify: clusters/hosts.yaml",
            "does not apply to Argo CD, which checks no signatures here",
        ),
        (
            "source: https://a.org/b, path: clusters/demo",
            "applies to Flux only: Argo CD applies each app",
        ),
    ],
)
def test_settings_for_flux_only_are_rejected_for_argo_cd(
    tmp_path: Path, fields: str, said: str
) -> None:
    found = plex_faults(tmp_path, f"gitops: {{engine: argocd, {fields}}}")

    assert len(found) == 1
    assert said in found[0]
