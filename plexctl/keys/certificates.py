"""X.509 with no clock and no random source: the same input gives the same bytes.

Keys are P-256, signatures deterministic ECDSA (RFC 6979), serial numbers digests of the content,
validity fixed. Extensions and their order are those of kubeadm 1.36 (its util/pkiutil).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from plexctl.keys.validity import CA_NOT_AFTER, LEAF_NOT_AFTER, NOT_BEFORE
from plexctl.model.secret import Secret

SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)

CURVE = ec.SECP256R1()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key as "EC PRIVATE KEY" like kubeadm's."""

    certificate: bytes
    key: Secret


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that can sign."""

    name: str
    pair: KeyPair
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, name: str, key: ec.EllipticCurvePrivateKey) -> Authority:
        return cls(name, KeyPair(_ca_certificate(name, key), private_pem(key)), key)

    def issue(
        self,
        key: ec.EllipticCurvePrivateKey,
        common_name: str,
        usages: tuple[ObjectIdentifier, ...],
        *,
        organization: str = "",
        sans: tuple[str, ...] = (),
    ) -> KeyPair:
        """A certificate for `key`. `sans` are DNS names and IP addresses, mixed."""
        subject = _name(common_name, organization)
        builder = (
            _builder(self.name, subject, key.public_key(), LEAF_NOT_AFTER, *sans)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier(_key_id(self._key.public_key()), None, None),
                critical=False,
            )
        )
        if sans:
            builder = builder.add_extension(_alternative_names(sans), critical=False)
        return KeyPair(_sign(builder, self._key), private_pem(key))


def private_key(material: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that is derived from `material`: 48 secret bytes.

    These are 16 bytes more than the order of the group, so the remainder has no bias that matters
    (FIPS 186-5, A.2.1).
    """
    return ec.derive_private_key(int.from_bytes(material) % (CURVE.group_order - 1) + 1, CURVE)


def private_pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    """A key in the format of kubeadm: "EC PRIVATE KEY" (SEC 1)."""
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _ca_certificate(name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = (
        _builder(name, _name(name), key.public_key(), CA_NOT_AFTER)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(_key_id(key.public_key())), critical=False)
        .add_extension(_alternative_names((name,)), critical=False)
    )
    return _sign(builder, key)


def _builder(
    issuer: str,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    not_after: datetime,
    *sans: str,
) -> x509.CertificateBuilder:
    """The fields of every certificate. The serial number is a digest of the arguments."""
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()
    parts = [issuer, subject.rfc4514_string(), point, not_after.isoformat(), *sans]
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(issuer))
        .subject_name(subject)
        .public_key(key)
        .serial_number(int.from_bytes(digest[:8]) >> 1 or 1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(not_after)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return certificate.public_bytes(Encoding.PEM)


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key identifier of Go: the first 160 bits of SHA-256 of the point (RFC 7093, method 1)."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha256(point).digest()[:20]


def _alternative_names(sans: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """DNS names sorted, then addresses as given, each once: kubeadm's order."""
    names: list[x509.GeneralName] = []
    addresses: list[x509.GeneralName] = []
    for san in dict.fromkeys(sans):
        try:
            addresses.append(x509.IPAddress(ip_address(san)))
        except ValueError:
            names.append(x509.DNSName(san))
    return x509.SubjectAlternativeName(
        [*sorted(names, key=lambda name: str(name.value)), *addresses]
    )
