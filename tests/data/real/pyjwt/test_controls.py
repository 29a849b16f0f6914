"""What worked before and has nothing to do with the flaw."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

CLAIMS = {"sub": "someone", "n": 1}


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize(
    "secret",
    [
        "s3cret-of-the-service-0123456789abcdef",
        b"s3cret-of-the-service-0123456789abcdef",
        bytes(range(1, 129)),
        "a pass phrase with spaces and a line\nbreak, long enough",
        "the-ssh-gateway-shares-this-word-with-us-0123456789",
        "KEY: begin public private certificate, all just words 01",
        "-----a banner of dashes, nothing more 0123456789-----",
        "Schl\u00fcssel-\u00fcber-alles-0123456789abcdef",
        "AAAAC3NzaC1lZDI1NTE5AAAAIGFiY2RlZmdoaWprbG1ub3BxcnN0",
    ],
    ids=range(9),
)
def test_control_plain_secret(name, secret):
    assert jwt.decode(jwt.encode(CLAIMS, secret, algorithm=name), secret, algorithms=[name]) == CLAIMS


def test_control_wrong_secret():
    token = jwt.encode(CLAIMS, "one-secret-0123456789abcdef01234567", algorithm="HS256")
    with pytest.raises(jwt.exceptions.InvalidSignatureError):
        jwt.decode(token, "two-secret-0123456789abcdef01234567", algorithms=["HS256"])


def test_control_eddsa_with_an_openssh_key():
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    token = jwt.encode(CLAIMS, private, algorithm="EdDSA")
    assert jwt.decode(token, public, algorithms=["EdDSA", "HS256"]) == CLAIMS


def test_control_es256_with_an_openssh_key():
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    token = jwt.encode(CLAIMS, private, algorithm="ES256")
    assert jwt.decode(token, public, algorithms=["ES256", "HS256"]) == CLAIMS


def test_control_rs256_with_pem_keys():
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    token = jwt.encode(CLAIMS, private, algorithm="RS256")
    assert jwt.decode(token, public, algorithms=["RS256", "HS256"]) == CLAIMS


def test_control_spki_is_still_refused():
    public = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(jwt.exceptions.InvalidKeyError):
        jwt.encode(CLAIMS, public, algorithm="HS256")


def test_control_empty_secret():
    assert jwt.decode(jwt.encode(CLAIMS, "", algorithm="HS256"), "", algorithms=["HS256"]) == CLAIMS


def test_control_jwk_of_a_shared_secret():
    algorithm = jwt.algorithms.get_default_algorithms()["HS256"]
    assert algorithm.from_jwk(algorithm.to_jwk("a-shared-secret")) == b"a-shared-secret"
