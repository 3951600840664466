"""The server's self-signed certificate."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, both PEM; `fingerprint` as PVE shows it: AA:BB:…, SHA-256."""

    pem: str
    key_pem: str
    fingerprint: str

    def context(self) -> ssl.SSLContext:
        """The TLS context of a server that presents the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            both = Path(folder) / "both.pem"
            both.touch(mode=0o600)
            both.write_text(self.key_pem + self.pem)
            context.load_cert_chain(both)
        return context


def self_signed(*addresses: str, days: tuple[int, int] = (-1, 30)) -> Certificate:
    """A new certificate for localhost, 127.0.0.1 and other addresses.

    `days` are when its validity begins and ends, from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake-pve")])
    listed = [x509.IPAddress(ip_address(one)) for one in ("127.0.0.1", *addresses)]
    names = [x509.DNSName("localhost"), *listed]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    digest = certificate.fingerprint(hashes.SHA256())
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private.decode(),
        ":".join(f"{byte:02X}" for byte in digest),
    )
