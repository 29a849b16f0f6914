import jwt


def read(token, key):
    # ruleid: python-jwt-not-verified
    jwt.decode(token, key, verify=False)
    # ruleid: python-jwt-not-verified
    jwt.decode(token, options={"verify_signature": False})
    # ruleid: python-jwt-not-verified
    jwt.decode(token, key, algorithms=["HS256", "none"])
    # ok: python-jwt-not-verified
    jwt.decode(token, key, algorithms=["HS256"])
