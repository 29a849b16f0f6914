import hashlib
from hashlib import sha1
from Crypto.Hash import MD5
from cryptography.hazmat.primitives import hashes


def digest(data):
    # ruleid: python-weak-hash
    hashlib.md5(data).hexdigest()
    # ruleid: python-weak-hash
    sha1(data)
    # ruleid: python-weak-hash
    hashlib.new("md5", data)
    # ruleid: python-weak-hash
    MD5.new(data)
    # ruleid: python-weak-hash
    hashes.SHA1()
    # ok: python-weak-hash
    hashlib.sha256(data)
    # ok: python-weak-hash
    hashlib.md5(data, usedforsecurity=False)
    # ok: python-weak-hash
    hashlib.new("sha256", data)
    # ok: python-weak-hash
    hashes.SHA256()
