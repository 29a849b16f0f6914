import hashlib


def keep(user, password, data):
    # ruleid: python-weak-password-hash
    hashlib.sha256(password.encode()).hexdigest()
    salted = user.salt + password
    # ruleid: python-weak-password-hash
    hashlib.sha1(salted.encode("utf-8"))
    # ruleid: python-weak-password-hash
    hashlib.md5(user.password.encode())
    # ok: python-weak-password-hash
    hashlib.scrypt(password.encode(), salt=user.salt, n=16384, r=8, p=1)
    # ok: python-weak-password-hash
    hashlib.sha256(data)
