"""The same confusion by other key formats, other types of text and other entry points."""

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


class Text(str):
    """A key that a configuration library wrapped."""


class Octets(bytes):
    """The same for bytes."""


def forge(secret, name="HS256", digest=hashlib.sha256):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = part(json.dumps({"typ": "JWT", "alg": name}).encode())
    signed = head + b"." + part(json.dumps({"admin": True}).encode())
    return (signed + b"." + part(hmac.new(secret, signed, digest).digest())).decode()


def is_accepted(key, name="HS256", digest=hashlib.sha256):
    secret = key.encode() if isinstance(key, str) else bytes(key)
    try:
        jwt.decode(forge(secret, name, digest), key, algorithms=["EdDSA", "ES256", "RS256", "HS256", "HS384", "HS512"])
    except jwt.exceptions.PyJWTError:
        return False
    return True


def ed25519():
    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def ecdsa(curve):
    return ec.generate_private_key(curve).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def pem(label, end="\n"):
    body = base64.b64encode(bytes(range(96))).decode()
    return end.join(["-----BEGIN %s-----" % label, body[:64], body[64:], "-----END %s-----" % label, ""])


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_variant_ecdsa_line(curve):
    assert not is_accepted(ecdsa(curve).decode())


def test_variant_dss_line():
    blob = base64.b64encode(b"\0\0\0\x07ssh-dss" + bytes(64)).decode()
    assert not is_accepted("ssh-dss " + blob + " someone@host")


@pytest.mark.parametrize("prefix", ["\n", "  ", "# the signing key\n", 'restrict,command="/bin/true" '])
def test_variant_text_before_the_line(prefix):
    assert not is_accepted(prefix + ed25519().decode())


def test_variant_bytes():
    assert not is_accepted(ed25519())


@pytest.mark.parametrize("kind", [Text, Octets])
def test_variant_subclass(kind):
    key = ed25519()
    assert not is_accepted(kind(key.decode()) if kind is Text else kind(key))


@pytest.mark.parametrize("label", ["TRUSTED CERTIFICATE", "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY"])
def test_variant_pem(label):
    assert not is_accepted(pem(label))


def test_variant_pem_with_windows_lines():
    assert not is_accepted(pem("EC PRIVATE KEY", "\r\n"))


def test_variant_real_private_pem():
    key = ec.generate_private_key(ec.SECP256R1())
    assert not is_accepted(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


@pytest.mark.parametrize("size", ["384", "512"])
def test_variant_other_digest(size):
    assert not is_accepted(ed25519().decode(), "HS" + size, getattr(hashlib, "sha" + size))


def test_variant_signing_side():
    try:
        token = jwt.encode({"admin": True}, ed25519().decode(), algorithm="HS256")
    except jwt.exceptions.PyJWTError:
        token = None
    assert token is None, "a public key was taken as an HMAC secret to sign with"


def test_variant_jws_interface():
    key = ed25519().decode()
    try:
        payload = jwt.api_jws.PyJWS().decode(forge(key.encode()), key, algorithms=["EdDSA", "HS256"])
    except jwt.exceptions.PyJWTError:
        payload = None
    assert payload is None


def test_variant_algorithm_object():
    algorithm = jwt.algorithms.get_default_algorithms()["HS256"]
    try:
        key = algorithm.prepare_key(ecdsa(ec.SECP256R1()))
    except jwt.exceptions.PyJWTError:
        key = None
    assert key is None
