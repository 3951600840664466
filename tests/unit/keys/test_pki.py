"""The certificates of a cluster, compared with those that kubeadm wrote."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from plexctl.keys.certificates import CURVE, Authority, KeyPair, private_key
from plexctl.keys.pki import ClusterKeys, Master
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

SEED = RootSeed(Secret(bytes(range(32))))
KEYS = ClusterKeys.derive(SEED, "demo", 1)
MASTER = Master(
    name="demo1",
    address=IPv4Address("10.90.0.11"),
    service=IPv4Address("10.96.0.1"),
    domain="cluster.local",
    extra_sans=("demo", "localhost", "127.0.0.1"),
)


def pairs() -> dict[str, tuple[Authority, KeyPair]]:
    """Each certificate of kubeadm by its name there, with its issuer."""
    ca, etcd, front = KEYS.ca, KEYS.etcd_ca, KEYS.front_proxy_ca
    return {
        "ca": (ca, ca.pair),
        "etcd/ca": (etcd, etcd.pair),
        "front-proxy-ca": (front, front.pair),
        "apiserver": (ca, KEYS.apiserver(MASTER)),
        "apiserver-kubelet-client": (ca, KEYS.apiserver_kubelet_client()),
        "apiserver-etcd-client": (etcd, KEYS.apiserver_etcd_client()),
        "front-proxy-client": (front, KEYS.front_proxy_client()),
        "etcd/server": (etcd, KEYS.etcd_server(MASTER)),
        "etcd/peer": (etcd, KEYS.etcd_peer(MASTER)),
        "etcd/healthcheck-client": (etcd, KEYS.etcd_healthcheck_client()),
        "admin.conf": (ca, KEYS.admin()),
        "super-admin.conf": (ca, KEYS.super_admin()),
        "controller-manager.conf": (ca, KEYS.controller_manager()),
        "scheduler.conf": (ca, KEYS.scheduler()),
        "kubelet.conf": (ca, KEYS.kubelet_client("demo1")),
    }


def kubeadm() -> dict[str, x509.Certificate]:
    text = (Path(__file__).parent / "kubeadm-1.36.3.pem").read_text()
    found = re.findall(r"^# (\S+)\n(-----BEGIN.*?END CERTIFICATE-----\n)", text, re.M | re.S)
    return {name: x509.load_pem_x509_certificate(pem.encode()) for name, pem in found}


def facts(certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, object]:
    """All fields of a certificate but its key, its serial number, its dates and signature."""
    extensions: dict[str, object] = {}
    for extension in certificate.extensions:
        value: object = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = value.digest == go_key_id(certificate)
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            value = value.key_identifier == go_key_id(issuer)
        extensions[extension.oid.dotted_string] = (extension.critical, value)
    return {
        "version": certificate.version,
        "issuer": certificate.issuer.rfc4514_string(),
        "subject": certificate.subject.rfc4514_string(),
        "algorithm": certificate.signature_algorithm_oid,
        "extensions": list(extensions.items()),  # their order too
    }


def go_key_id(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha256(point).digest()[:20]


def load(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_the_table_is_kubeadms() -> None:
    assert set(kubeadm()) == set(pairs())


@pytest.mark.parametrize("name", sorted(pairs()))
def test_a_certificate_has_the_fields_of_kubeadms(name: str) -> None:
    authority, pair = pairs()[name]
    theirs = kubeadm()
    issuer = {"kubernetes": "ca", "etcd-ca": "etcd/ca"}.get(authority.name, authority.name)
    ours = load(pair)
    assert facts(ours, load(authority.pair)) == facts(theirs[name], theirs[issuer])
    ours.verify_directly_issued_by(load(authority.pair))


@pytest.mark.parametrize("name", sorted(pairs()))
def test_a_key_belongs_to_its_certificate(name: str) -> None:
    _, pair = pairs()[name]
    assert pair.key.reveal().startswith(b"-----BEGIN EC PRIVATE KEY-----\n")
    key = load_pem_private_key(pair.key.reveal(), None)
    assert key.public_key() == load(pair).public_key()


def test_pki_files_are_kubeadms() -> None:
    files = KEYS.pki_files(MASTER)
    certificates = {name for name in kubeadm() if not name.endswith(".conf")}
    assert set(files) == {
        *(f"{name}.crt" for name in certificates),
        *(f"{name}.key" for name in certificates),
        "sa.pub",
        "sa.key",
    }
    assert {name for name, content in files.items() if isinstance(content, Secret)} == {
        name for name in files if name.endswith(".key")
    }
    accounts = KEYS.service_account()
    public = load_pem_private_key(accounts.key.reveal(), None).public_key()
    assert accounts.public == public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_kubelet_serves_under_its_name_and_address() -> None:
    certificate = load(KEYS.kubelet_server("demo2", IPv4Address("10.90.0.12")))
    assert certificate.subject.rfc4514_string() == "CN=system:node:demo2,O=system:nodes"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["demo2", "10.90.0.12"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_keys_have_the_same_bytes_on_every_machine() -> None:
    """A change here changes the keys of every lab that exists."""

    def digest(files: Mapping[str, bytes | Secret]) -> str:
        total = hashlib.sha256()
        for name, content in sorted(files.items()):
            total.update(name.encode())
            total.update(content.reveal() if isinstance(content, Secret) else content)
        return total.hexdigest()[:16]

    kubelet = KEYS.kubelet_client("demo2")
    serving = KEYS.kubelet_server("demo2", IPv4Address("10.90.0.12"))
    admin = KEYS.admin()
    assert digest(KEYS.pki_files(MASTER)) == "5258fdc8239fee7a"
    assert digest({"crt": kubelet.certificate, "key": kubelet.key}) == "e49bd5bc0488ed95"
    assert digest({"crt": serving.certificate, "key": serving.key}) == "fc164caf5c38fed8"
    assert digest({"crt": admin.certificate, "key": admin.key}) == "754fdb7df396e959"


def test_no_two_keys_are_the_same() -> None:
    others = [
        ClusterKeys.derive(SEED, "demo", 2),
        ClusterKeys.derive(SEED, "test", 1),
        ClusterKeys.derive(RootSeed(Secret(bytes(32))), "demo", 1),
    ]
    secrets = [pair.key.reveal() for _, pair in pairs().values()]
    secrets += [KEYS.service_account().key.reveal(), KEYS.kubelet_client("demo2").key.reveal()]
    for node in ("demo1", "demo2"):
        secrets.append(KEYS.kubelet_server(node, MASTER.address).key.reveal())
    secrets += [
        content.reveal()
        for keys in others
        for content in keys.pki_files(MASTER).values()
        if isinstance(content, Secret)
    ]
    assert len(set(secrets)) == len(secrets)


def test_a_serial_number_is_its_issuers_for_one_content_only() -> None:
    moved = Master("demo1", IPv4Address("10.91.0.11"), MASTER.service, MASTER.domain)
    again, elsewhere = load(KEYS.apiserver(MASTER)), load(KEYS.apiserver(moved))
    assert again.serial_number != elsewhere.serial_number
    assert again.public_key() == elsewhere.public_key()  # a new address is no reason for a new key
    serials = [load(pair).serial_number for _, pair in pairs().values()]
    assert len(set(serials)) == len(serials)
    assert all(0 < serial < 2**63 for serial in serials)


@pytest.mark.parametrize(
    ("material", "scalar"),
    [(0, 1), (CURVE.group_order - 2, CURVE.group_order - 1), (CURVE.group_order - 1, 1)],
)
def test_every_material_makes_a_valid_key(material: int, scalar: int) -> None:
    key = private_key(material.to_bytes(48, "big"))
    assert key.private_numbers().private_value == scalar


def test_secrets_are_hidden() -> None:
    shown = repr((KEYS, KEYS.admin(), KEYS.service_account()))
    assert "PRIVATE" not in shown
    assert "Secret(…)" in shown


def test_a_client_and_the_api_server_trust_each_other(tmp_path: Path) -> None:
    handshake(tmp_path, KEYS.ca, KEYS.apiserver(MASTER), KEYS.admin(), "10.96.0.1")
    handshake(tmp_path, KEYS.ca, KEYS.apiserver(MASTER), KEYS.admin(), "kubernetes.default.svc")
    handshake(tmp_path, KEYS.etcd_ca, KEYS.etcd_server(MASTER), KEYS.etcd_peer(MASTER), "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(tmp_path, KEYS.ca, KEYS.apiserver(MASTER), KEYS.admin(), "10.96.0.2")


def test_the_admin_of_an_old_epoch_is_refused(tmp_path: Path) -> None:
    old = ClusterKeys.derive(SEED, "demo", 0)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        handshake(tmp_path, KEYS.ca, KEYS.apiserver(MASTER), old.admin(), "demo1")


def handshake(
    folder: Path, authority: Authority, server: KeyPair, client: KeyPair, host: str
) -> None:
    """Mutual TLS in memory, as Kubernetes' parts do it; SSLError if a side refuses the other."""

    def context(protocol: int, pair: KeyPair) -> ssl.SSLContext:
        file = folder / "pair.pem"
        file.write_bytes(pair.certificate + pair.key.reveal())
        made = ssl.SSLContext(protocol)
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.load_verify_locations(cadata=authority.pair.certificate.decode())
        made.load_cert_chain(file)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context(ssl.PROTOCOL_TLS_CLIENT, client).wrap_bio(
            to_client, to_server, server_hostname=host
        ),
        context(ssl.PROTOCOL_TLS_SERVER, server).wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(8):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not ends
