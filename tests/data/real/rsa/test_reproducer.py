"""A ciphertext or signature with something in front is not the one that was made, and must not be taken for it."""

import rsa

PUBLIC, PRIVATE = rsa.newkeys(512)


def test_reproducer_decrypt():
    crypto = b"\0\0\0\0" + rsa.encrypt(b"hello", PUBLIC)
    try:
        message = rsa.decrypt(crypto, PRIVATE)
    except (rsa.pkcs1.CryptoError, ValueError, OverflowError):
        message = None
    assert message is None, "a ciphertext longer than the key was decrypted"


def test_reproducer_verify():
    signature = b"\0\0\0\0" + rsa.sign(b"hello", PRIVATE, "SHA-256")
    try:
        name = rsa.verify(b"hello", signature, PUBLIC)
    except (rsa.pkcs1.CryptoError, ValueError, OverflowError):
        name = None
    assert name is None, "a signature longer than the key was taken as valid"
