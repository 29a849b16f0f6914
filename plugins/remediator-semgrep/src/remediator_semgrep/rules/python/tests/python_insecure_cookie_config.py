def make(app):
    # ruleid: python-insecure-cookie-config
    app.config["SESSION_COOKIE_HTTPONLY"] = False
    # ok: python-insecure-cookie-config
    app.config["SESSION_COOKIE_HTTPONLY"] = True
    # ok: python-insecure-cookie-config
    app.config["OTHER"] = False
