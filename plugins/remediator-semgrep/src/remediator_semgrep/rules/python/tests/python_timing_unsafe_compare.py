import hashlib
import hmac


def check(request, key, body, given, api_key):
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    # ruleid: python-timing-unsafe-compare
    if expected == given:
        return True
    # ruleid: python-timing-unsafe-compare
    if request.headers["X-Api-Key"] != api_key:
        return False
    # ruleid: python-timing-unsafe-compare
    return given == "sha256=" + hmac.new(key, body, "sha256").hexdigest()


def safe(key, body, given, api_key):
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    # ok: python-timing-unsafe-compare
    if hmac.compare_digest(expected, given):
        return True
    # ok: python-timing-unsafe-compare
    if api_key == "":
        return False
    # ok: python-timing-unsafe-compare
    if api_key == None:
        return False
    # ok: python-timing-unsafe-compare
    return len(expected) == len(given)
