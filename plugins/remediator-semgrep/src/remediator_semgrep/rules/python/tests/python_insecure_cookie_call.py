def answer(app, response, value):
    # ruleid: python-insecure-cookie-call
    response.set_cookie("session", value, secure=False, httponly=True)
    # ruleid: python-insecure-cookie-call
    app.config.update(SESSION_COOKIE_SECURE=False)
    # ok: python-insecure-cookie-call
    response.set_cookie("session", value, secure=True, httponly=True)
