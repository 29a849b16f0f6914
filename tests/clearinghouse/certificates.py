"""A certificate authority of a test's own, and certificates that it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificate(NamedTuple):
    """PEM files of a certificate and its key."""

    chain: Path
    key: Path


class Authority:
    """Signs for `localhost` and 127.0.0.1 unless it is told other names."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        signed = _begun(self._name, self._name, self._key.public_key(), timedelta(days=1)).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(
            False, False, False, False, False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
        )
        signed = signed.add_extension(usage, critical=True).add_extension(self._identifier(), critical=False)
        self.bundle = folder / f"{name}.pem"
        self.bundle.write_bytes(signed.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def certificate(self, *names: str, until: timedelta = timedelta(hours=1), password: bytes | None = None) -> Certificate:
        """Make one; `until` in the past makes one that expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        if not names:
            alternatives = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a clearinghouse")])
        made = _begun(subject, self._name, key.public_key(), until).add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        place = self._folder / f"{self.bundle.stem}-{'-'.join(names)}{until.total_seconds():.0f}{'-locked' if password else ''}"
        found = Certificate(place.with_suffix(".crt"), place.with_suffix(".key"))
        found.chain.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            hidden = serialization.BestAvailableEncryption(password)
        found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
        return found

    def _identifier(self) -> x509.SubjectKeyIdentifier:
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + until)
    )
