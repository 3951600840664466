"""The users whose certificates plexctl calls a cluster's API with."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from plexctl.bootstrap.cluster import api_access
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

SEED = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))


def test_the_super_admin_must_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "clusters" / "demo").mkdir(parents=True)
    (tmp_path / "clusters" / "demo" / "plex.yaml").write_text("workers: 2\n")
    (tmp_path / "clusters" / "hosts.yaml").write_text("hosts:\n  local: {}\n")
    plex = load_lab(tmp_path, load_pins(architecture="amd64").versions()).plexes["demo"]
    usual = api_access(plex, SEED).certificate
    first = api_access(plex, SEED, super_admin=True).certificate
    assert _subject(usual) == ("kubernetes-admin", "kubeadm:cluster-admins")
    assert _subject(first) == ("kubernetes-super-admin", "system:masters")


def _subject(certificate: bytes) -> tuple[str, str]:
    subject = x509.load_pem_x509_certificate(certificate).subject
    names = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    found = [str(subject.get_attributes_for_oid(name)[0].value) for name in names]
    return found[0], found[1]
