"""Other lengths, other types of bytes, other ways in."""

import io

import pytest
import rsa

PUBLIC, PRIVATE = rsa.newkeys(512)
ODD_PUBLIC, ODD_PRIVATE = rsa.newkeys(514)
REFUSALS = (rsa.pkcs1.CryptoError, ValueError, OverflowError, TypeError)


def decrypts(crypto, key=PRIVATE):
    try:
        return rsa.decrypt(crypto, key) == b"hello"
    except REFUSALS:
        return False


def verifies(signature, message=b"hello", key=PUBLIC):
    try:
        return bool(rsa.verify(message, signature, key))
    except REFUSALS:
        return False


@pytest.mark.parametrize("count", [1, 2, 64, 1000])
def test_variant_zeros_before_a_ciphertext(count):
    assert not decrypts(bytes(count) + rsa.encrypt(b"hello", PUBLIC))


@pytest.mark.parametrize("count", [1, 2, 64, 1000])
def test_variant_zeros_before_a_signature(count):
    assert not verifies(bytes(count) + rsa.sign(b"hello", PRIVATE, "SHA-256"))


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_variant_other_bytes_to_decrypt(kind):
    assert not decrypts(kind(b"\0" + rsa.encrypt(b"hello", PUBLIC)))


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_variant_other_bytes_to_verify(kind):
    assert not verifies(kind(b"\0" + rsa.sign(b"hello", PRIVATE, "SHA-256")))


@pytest.mark.parametrize("name", ["MD5", "SHA-1", "SHA-256"])
def test_variant_other_digest(name):
    assert not verifies(b"\0" + rsa.sign(b"hello", PRIVATE, name))


def test_variant_message_from_a_file():
    assert not verifies(b"\0" + rsa.sign(b"hello", PRIVATE, "SHA-1"), io.BytesIO(b"hello"))


def test_variant_key_of_odd_length_decrypt():
    assert not decrypts(b"\0" + rsa.encrypt(b"hello", ODD_PUBLIC), ODD_PRIVATE)


def test_variant_key_of_odd_length_verify():
    assert not verifies(b"\0" + rsa.sign(b"hello", ODD_PRIVATE, "SHA-256"), key=ODD_PUBLIC)


def test_variant_multiple_of_the_modulus():
    """The same residue in more bytes: the number differs, the length too."""
    signature = rsa.sign(b"hello", PRIVATE, "SHA-256")
    longer = (int.from_bytes(signature, "big") + (PUBLIC.n << 16)).to_bytes(67, "big")
    assert not verifies(longer)
