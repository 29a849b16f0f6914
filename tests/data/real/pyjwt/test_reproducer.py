"""A server that allows HMAC and EdDSA, and holds a public Ed25519 key, must not take a token that was signed with that key's text."""

import base64
import hashlib
import hmac
import json

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def forge(secret):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = part(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    signed = head + b"." + part(json.dumps({"admin": True}).encode())
    return (signed + b"." + part(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


def test_reproducer():
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    try:
        claims = jwt.decode(forge(public.encode()), public, algorithms=["EdDSA", "HS256"])
    except jwt.exceptions.PyJWTError:
        claims = None
    assert claims is None, "a token that anybody can make from the public key was accepted"
