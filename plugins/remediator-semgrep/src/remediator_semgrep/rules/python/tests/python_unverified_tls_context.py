import ssl


def make():
    # ruleid: python-unverified-tls-context
    ssl._create_unverified_context()
    # ruleid: python-unverified-tls-context
    ssl._create_default_https_context = ssl._create_unverified_context
    context = ssl.create_default_context()
    # ruleid: python-unverified-tls-context
    context.check_hostname = False
    # ruleid: python-unverified-tls-context
    context.verify_mode = ssl.CERT_NONE
    # ok: python-unverified-tls-context
    context.verify_mode = ssl.CERT_REQUIRED
    # ok: python-unverified-tls-context
    context.check_hostname = True
    # ok: python-unverified-tls-context
    ssl.create_default_context()
