def answer(response, value):
    # ruleid: python-cookie-without-flags
    response.set_cookie("session", value)
    # ruleid: python-cookie-without-flags
    response.set_cookie("session", value, httponly=True)
    # ok: python-cookie-without-flags
    response.set_cookie("session", value, secure=True, httponly=True)
    # ok: python-cookie-without-flags
    response.set_cookie("session", value, max_age=3, httponly=True, secure=True, samesite="Lax")
