# ruleid: python-insecure-cookie-setting
SESSION_COOKIE_SECURE = False
# ruleid: python-insecure-cookie-setting
app.config["SESSION_COOKIE_HTTPONLY"] = False
# ok: python-insecure-cookie-setting
SESSION_COOKIE_SECURE = True
