import hashlib


def stretch(password, salt):
    # ruleid: python-few-hash-rounds
    hashlib.pbkdf2_hmac("sha256", password, salt, 1000)
    # ok: python-few-hash-rounds
    hashlib.pbkdf2_hmac("sha256", password, salt, 600000)
