# ruleid: python-insecure-cookie-setting
SESSION_COOKIE_SECURE = False
# ok: python-insecure-cookie-setting
SESSION_COOKIE_SECURE = True
