import jwt


def read(token, key):
    # ruleid: python-jwt-any-algorithm
    jwt.decode(token, key)
    # ok: python-jwt-any-algorithm
    jwt.decode(token, key, algorithms=["HS256"])
