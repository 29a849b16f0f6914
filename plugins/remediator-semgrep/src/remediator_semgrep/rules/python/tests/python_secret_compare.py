import hmac


def check(request, settings, api_key):
    # ruleid: python-secret-compare
    if request.headers["X-Api-Key"] != settings.api_key:
        return False
    # ruleid: python-secret-compare
    return api_key == request.args["key"]


def safe(request, api_key, token_type):
    # ok: python-secret-compare
    if api_key == "":
        return False
    # ok: python-secret-compare
    if api_key == None or token_type == "Bearer":
        return False
    # ok: python-secret-compare
    return hmac.compare_digest(api_key, request.args["key"])
