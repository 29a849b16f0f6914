"""Right ciphertexts and signatures, those that start with a zero byte too."""

import io

import pytest
import rsa

PUBLIC, PRIVATE = rsa.newkeys(512)


@pytest.mark.parametrize("message", [b"", b"hello", bytes(9), b"\0\0x", bytes(range(53))], ids=range(5))
def test_control_round_trip(message):
    assert rsa.decrypt(rsa.encrypt(message, PUBLIC), PRIVATE) == message


def test_control_ciphertext_that_begins_with_zero():
    for _ in range(20000):
        crypto = rsa.encrypt(b"hello", PUBLIC)
        if crypto[0] == 0:
            break
    assert crypto[0] == 0
    assert rsa.decrypt(crypto, PRIVATE) == b"hello"


def test_control_signature_that_begins_with_zero():
    for number in range(20000):
        message = b"message %d" % number
        signature = rsa.sign(message, PRIVATE, "SHA-1")
        if signature[0] == 0:
            break
    assert signature[0] == 0
    assert rsa.verify(message, signature, PUBLIC) == "SHA-1"


@pytest.mark.parametrize("name", ["MD5", "SHA-1", "SHA-224", "SHA-256"])
def test_control_signature(name):
    assert rsa.verify(b"hello", rsa.sign(b"hello", PRIVATE, name), PUBLIC) == name


def test_control_signature_over_a_file():
    assert rsa.verify(io.BytesIO(b"hello"), rsa.sign(io.BytesIO(b"hello"), PRIVATE, "SHA-256"), PUBLIC) == "SHA-256"


def test_control_other_message():
    with pytest.raises(rsa.pkcs1.VerificationError):
        rsa.verify(b"other", rsa.sign(b"hello", PRIVATE, "SHA-256"), PUBLIC)


def test_control_damaged_ciphertext():
    crypto = bytearray(rsa.encrypt(b"hello", PUBLIC))
    crypto[-1] ^= 1
    with pytest.raises((rsa.pkcs1.DecryptionError, OverflowError)):
        if rsa.decrypt(bytes(crypto), PRIVATE) != b"hello":
            raise rsa.pkcs1.DecryptionError("garbage is no message")


def test_control_bytearray():
    assert rsa.decrypt(bytearray(rsa.encrypt(b"hello", PUBLIC)), PRIVATE) == b"hello"


@pytest.mark.parametrize("bits", [514, 520, 768])
def test_control_other_keys(bits):
    public, private = rsa.newkeys(bits)
    assert rsa.decrypt(rsa.encrypt(b"hello", public), private) == b"hello"
    assert rsa.verify(b"hello", rsa.sign(b"hello", private, "SHA-256"), public) == "SHA-256"
