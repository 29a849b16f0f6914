import os

from Crypto.Cipher import AES
from cryptography.hazmat.primitives.ciphers import modes


def make(key):
    # ruleid: python-constant-iv
    AES.new(key, AES.MODE_CBC, b"0123456789abcdef")
    # ruleid: python-constant-iv
    AES.new(key, AES.MODE_CBC, iv=b"0123456789abcdef")
    # ruleid: python-constant-iv
    modes.CBC(b"\x00" * 16)
    # ok: python-constant-iv
    AES.new(key, AES.MODE_CBC, os.urandom(16))
    # ok: python-constant-iv
    modes.CBC(os.urandom(16))
