"""What a plex may say of Argo CD."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.model.gitops import GitopsEngine, SourceKind

from .labs import VERSIONS, lab, plex_faults


def test_argo_reads_git(tmp_path: Path) -> None:
    text = "gitops: {engine: argocd, source: 'https://git.example.org/lab.git', branch: lab}"
    plex = load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]

    assert plex.gitops is not None
    assert (plex.gitops.engine, plex.gitops.source.kind) == (GitopsEngine.ARGOCD, SourceKind.HTTPS)
    layers = {layer.name for layer in plex.type.layers}
    assert "argocd" in layers
    assert "flux" not in layers


def test_who_reads_and_who_vouches_go_with_https_and_oci(tmp_path: Path) -> None:
    fields = "user: me, ca: clusters/hosts.yaml"
    text = f"gitops: {{source: 'oci://registry.example.org/lab', {fields}}}"
    plex = load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]
    assert plex.gitops is not None
    assert plex.gitops.source.user == "me"
    assert plex.gitops.source.ca == tmp_path / "clusters" / "hosts.yaml"

    ssh = f"source: 'ssh://git@a.org/b', known_hosts: clusters/hosts.yaml, {fields}"
    found = plex_faults(tmp_path, f"gitops: {{{ssh}}}")
    assert len(found) == 2
    assert all("goes with sources of https or oci, not with ssh (leave it out)" in f for f in found)
    missing = plex_faults(tmp_path, "gitops: {source: 'https://a.org/b', ca: clusters/none.crt}")
    assert "there is no file" in missing[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("source: oci://a.org/b", "Argo CD reads git only (name an ssh:// or https:// repository"),
        ("source: oci://a.org/b", "decrypts nothing: secrets of SOPS in it stay as they are"),
        ("source: https://a.org/b, verify: clusters/hosts.yaml", "checks no signatures here"),
        ("source: https://a.org/b, path: clusters/demo", "is Flux': Argo CD applies each app"),
    ],
)
def test_what_only_flux_does_is_refused(tmp_path: Path, fields: str, said: str) -> None:
    found = plex_faults(tmp_path, f"gitops: {{engine: argocd, {fields}}}")

    assert len(found) == 1
    assert said in found[0]
