import hashlib
import hmac


def check(key, body, given):
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    # ruleid: python-timing-unsafe-compare
    if expected == given:
        return True
    # ruleid: python-timing-unsafe-compare
    return given != "sha256=" + hmac.new(key, body, "sha256").hexdigest()


def safe(key, body, given):
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    # ok: python-timing-unsafe-compare
    if hmac.compare_digest(expected, given):
        return True
    # ok: python-timing-unsafe-compare
    return len(expected) == len(given)
